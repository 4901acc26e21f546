//! Flaws in how HTTP is read: what came is changed before the service sees it. Not here: flaws in how connections are served.

use super::Flaw;

/// What the service is shown instead of `input`.
pub(super) fn misread(flaw: Flaw, input: &mut Vec<u8>) {
    match flaw {
        Flaw::HeadWithBody if input.starts_with(b"HEAD ") => {
            input.splice(..4, *b"GET");
        }
        Flaw::LenientLength => {
            let line = b"Transfer-Encoding: chunked\r\n";
            let has_length = input.windows(15).any(|w| w == b"Content-Length:");
            if let Some(at) = input.windows(line.len()).position(|w| w == line).filter(|_| has_length) {
                input.drain(at..at + line.len());
            }
        }
        _ => {}
    }
}
