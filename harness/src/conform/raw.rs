//! A subject that speaks none of our services: one message and what answers it, both in the user's words. Not here: the flags.

use service::raw::{Dialogue, Expect, Template, Turn};
use std::sync::Arc;

/// What is sent, and what the answer to it looks like, as texts (see `service::raw`).
///
/// # Errors
/// In a sentence: a text that cannot be read; an answer that ends with the connection, which leaves nothing for most cases.
pub(super) fn dialogue(send: &str, reply: &str) -> Result<Arc<Dialogue>, String> {
    let send = Template::parse(send).map_err(|e| format!("send: {e}"))?;
    let expect = Expect::parse(reply).map_err(|e| format!("reply: {e}"))?;
    let dialogue = Dialogue { banner: None, turns: vec![Turn { send, expect }] };
    if dialogue.ends_connection() {
        return Err("reply: `eof` is no answer that can be told from a failure; give its bytes".to_owned());
    }
    Ok(Arc::new(dialogue))
}
