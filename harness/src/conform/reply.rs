//! An HTTP/1 reply, read plainly: status, fields, content (RFC 9112). Not here: whether it is the right one, and whatever a probe of
//! the framing need not know.

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// HTTP/1.0, in which a connection carries one exchange.
    pub old: bool,
    /// Names, in lower case, and values.
    fields: Vec<(String, String)>,
    /// The content, decoded.
    pub content: Vec<u8>,
}

/// What has come so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A reply, and how many bytes it takes.
    Whole(Reply, usize),
    /// More must come; with `true`, the end of the connection is the end of the content.
    Unfinished(bool),
    /// This is no reply; why.
    Malformed(&'static str),
}

impl Reply {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// True when the server has said that it closes.
    #[must_use]
    pub fn closes(&self) -> bool {
        let said = |word| self.field("connection").is_some_and(|v| v.to_ascii_lowercase().contains(word));
        said("close") || (self.old && !said("keep-alive"))
    }
}

/// Reads the first reply in `bytes`; `head`: it answers HEAD and has no content. `over`: nothing more will come.
#[must_use]
pub fn read(bytes: &[u8], head: bool, over: bool) -> Read {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        let begins = b"HTTP/1.".starts_with(&bytes[..bytes.len().min(7)]);
        return if begins || bytes.starts_with(b"HTTP/1.") {
            Read::Unfinished(false)
        } else {
            Read::Malformed("it does not begin with HTTP/1.")
        };
    };
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return Read::Malformed("its head is no text") };
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
    let (version, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") || status.len() != 3 {
        return Read::Malformed("its status line does not parse");
    }
    let Ok(status) = status.parse::<u16>() else { return Read::Malformed("its status is no number") };
    let mut fields = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Read::Malformed("a field has no colon");
        };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let start = end + 4;
    let mut reply = Reply { status, old: version == "HTTP/1.0", fields, content: Vec::new() };
    let rest = &bytes[start..];
    if (100..200).contains(&status) {
        // An interim one: the reply is behind it.
        return match read(rest, head, over) {
            Read::Whole(reply, used) => Read::Whole(reply, start + used),
            other => other,
        };
    }
    if head || matches!(status, 204 | 304) {
        return Read::Whole(reply, start);
    }
    if reply.field("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with("chunked")) {
        return match chunked(rest, &mut reply.content) {
            Ok(Some(used)) => Read::Whole(reply, start + used),
            Ok(None) => Read::Unfinished(false),
            Err(why) => Read::Malformed(why),
        };
    }
    match reply.field("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) if rest.len() >= length => {
            reply.content = rest[..length].to_vec();
            Read::Whole(reply, start + length)
        }
        Some(Ok(_)) => Read::Unfinished(false),
        Some(Err(_)) => Read::Malformed("its Content-Length is no number"),
        None if over => {
            reply.content = rest.to_vec();
            Read::Whole(reply, bytes.len())
        }
        None => Read::Unfinished(true),
    }
}

/// Decodes a chunked body; returns how many bytes it takes, once it is whole.
fn chunked(bytes: &[u8], content: &mut Vec<u8>) -> Result<Option<usize>, &'static str> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let Some(line) = rest.windows(2).position(|w| w == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[..line]).unwrap_or_default();
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk's size is no number")?;
        at += line + 2;
        if size == 0 {
            // Trailers, up to an empty line.
            let rest = &bytes[at..];
            let end = if rest.starts_with(b"\r\n") {
                Some(2)
            } else {
                rest.windows(4).position(|w| w == b"\r\n\r\n").map(|n| n + 4)
            };
            return Ok(end.map(|n| at + n));
        }
        let Some(data) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !data.ends_with(b"\r\n") {
            return Err("a chunk does not end where it says");
        }
        content.extend_from_slice(&data[..size]);
        at += size + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str, head: bool, over: bool) -> Option<(u16, String, usize)> {
        for cut in 1..text.len() {
            // Nothing is made of a part; but content that ends with the connection is whole wherever that is.
            assert!(
                over || !matches!(read(&text.as_bytes()[..cut], head, false), Read::Malformed(_)),
                "{cut}"
            );
        }
        match read(text.as_bytes(), head, over) {
            Read::Whole(r, used) => {
                Some((r.status, String::from_utf8(r.content).unwrap(), text.len() - used))
            }
            _ => None,
        }
    }

    #[test]
    fn reads_each_framing_and_leaves_what_is_behind() {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP";
        assert_eq!(whole(length, false, false), Some((200, "ab".to_owned(), 4)));
        assert_eq!(whole(length, true, false), Some((200, String::new(), 6)));
        let chunks =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n";
        assert_eq!(whole(chunks, false, false), Some((200, "abc".to_owned(), 0)));
        assert_eq!(whole("HTTP/1.0 404 No\r\n\r\nabc", false, true), Some((404, "abc".to_owned(), 0)));
        assert_eq!(whole("HTTP/1.1 204 No Content\r\n\r\n", false, false), Some((204, String::new(), 0)));
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(whole(interim, false, false), Some((200, String::new(), 0)));
    }

    #[test]
    fn tells_what_is_no_reply_from_what_is_unfinished() {
        assert!(matches!(read(b"SSH-2.0", false, false), Read::Malformed(_)));
        assert!(matches!(read(b"HTTP/1.1 abc OK\r\n\r\n", false, false), Read::Malformed(_)));
        assert!(matches!(read(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", false, false), Read::Malformed(_)));
        assert_eq!(read(b"HT", false, false), Read::Unfinished(false));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\n\r\nabc", false, false), Read::Unfinished(true));
    }
}
