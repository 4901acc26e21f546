//! What both sides read out of fields: lists of tokens, lengths, names. Not here: which fields matter.

/// Whether the comma-separated list `value` has `token`, whatever its case (RFC 9110, 5.6.1).
pub(super) fn has_token(value: &[u8], token: &[u8]) -> bool {
    tokens(value).any(|t| t.eq_ignore_ascii_case(token))
}

/// The members of the comma-separated list `value` that are not empty (RFC 9110, 5.6.1.2).
pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(trim).filter(|t| !t.is_empty())
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A character of a method or a field name (RFC 9110, 5.6.2).
pub(super) fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A field line without its CRLF: a name, a colon at once behind it, and no control characters (RFC 9112, 5).
pub(super) fn is_field_line(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let (name, value) = line.split_at(colon);
    !name.is_empty()
        && name.iter().all(|b| is_tchar(*b))
        && value.iter().all(|b| *b == b'\t' || (*b >= 0x20 && *b != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_token_in_a_list() {
        for list in ["close", "Close", "keep-alive, CLOSE", " close ,x", ",,close", "a,\tclose\t,b"] {
            assert!(has_token(list.as_bytes(), b"close"), "{list}");
        }
        for list in ["", "closed", "clo se", "close;q=1", "not-close"] {
            assert!(!has_token(list.as_bytes(), b"close"), "{list}");
        }
    }

    #[test]
    fn tells_field_lines() {
        for good in ["a:", "a: b", "X-Sum:\tq w", "a: \u{e9}"] {
            assert!(is_field_line(good.as_bytes()), "{good}");
        }
        for bad in ["", ":", ": b", "a", "a b: c", "a : b", " a: b", "a: b\rc", "a: \0"] {
            assert!(!is_field_line(bad.as_bytes()), "{bad:?}");
        }
    }
}
