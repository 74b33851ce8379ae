//! Request bodies to prompts, token ids and block keys.
