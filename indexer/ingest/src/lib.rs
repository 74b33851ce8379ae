//! From engine sockets to appended batches: order, replay, batching.
