//! Simulated vLLM engines: cache, scheduler, OpenAI HTTP, metrics, events.
