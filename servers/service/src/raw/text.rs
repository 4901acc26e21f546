//! Text with escapes and placeholders, as a command line can hold it. Not here: what it is for.

use crate::Output;
use crate::digits::Digits;

/// Bytes, and numbers in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Seq,
    Connection,
}

impl Template {
    /// Bytes as they are.
    #[must_use]
    pub fn fixed(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::default() } else { Self(vec![Piece::Bytes(bytes)]) }
    }

    /// Reads text with `\r \n \t \0 \\ \{ \xNN` and the placeholders `{seq}` and `{conn}`.
    ///
    /// # Errors
    /// One sentence on what cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut bytes) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\\' => rest = escape(rest, &mut bytes)?,
                '{' => {
                    let (name, behind) =
                        rest.split_once('}').ok_or("a `{` without its `}`: write \\{ for a brace")?;
                    let piece = match name {
                        "seq" => Piece::Seq,
                        "conn" => Piece::Connection,
                        _ => {
                            return Err(format!(
                                "no placeholder {{{name}}}: there are {{seq}} and {{conn}}; write \\{{ for a brace"
                            ));
                        }
                    };
                    if !bytes.is_empty() {
                        pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
                    }
                    pieces.push(piece);
                    rest = behind;
                }
                other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !bytes.is_empty() {
            pieces.push(Piece::Bytes(bytes));
        }
        Ok(Self(pieces))
    }

    /// Bytes without what the placeholders add.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|piece| if let Piece::Bytes(bytes) = piece { bytes.len() } else { 0 }).sum()
    }

    /// True where there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, where there are no placeholders.
    #[must_use]
    pub fn as_fixed(&self) -> Option<&[u8]> {
        match &self.0[..] {
            [] => Some(&[]),
            [Piece::Bytes(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// Queues the text for request `seq` of connection `connection`.
    pub(super) fn write(&self, seq: u64, connection: u64, out: &mut Output) {
        self.each(seq, connection, |bytes| out.copy(bytes));
    }

    /// Appends the text for request `seq` of connection `connection`.
    pub(super) fn append(&self, seq: u64, connection: u64, text: &mut Vec<u8>) {
        self.each(seq, connection, |bytes| text.extend_from_slice(bytes));
    }

    fn each(&self, seq: u64, connection: u64, mut take: impl FnMut(&[u8])) {
        for piece in &self.0 {
            match piece {
                Piece::Bytes(bytes) => take(bytes),
                Piece::Seq => take(Digits::new(seq).as_bytes()),
                Piece::Connection => take(Digits::new(connection).as_bytes()),
            }
        }
    }
}

/// Reads what stands behind a backslash; returns what follows it.
fn escape<'a>(rest: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str, String> {
    let c = rest.chars().next().ok_or("a backslash at the end: write \\\\ for one")?;
    let behind = &rest[c.len_utf8()..];
    bytes.push(match c {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '0' => 0,
        '\\' => b'\\',
        '{' => b'{',
        'x' => {
            let digits = behind.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(byte.ok_or("\\x wants two hexadecimal digits, as in \\x0a")?);
            return Ok(&behind[2..]);
        }
        other => return Err(format!("no escape \\{other}: there are \\r \\n \\t \\0 \\\\ \\{{ and \\xNN")),
    });
    Ok(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_placeholders_are_what_they_say() {
        let mut text = Vec::new();
        let template = Template::parse("a\\r\\n\\x00\\x7F\\t\\0\\\\ä\\{}{seq}-{conn}").unwrap();
        template.append(42, 7, &mut text);
        assert_eq!(text, "a\r\n\0\x7f\t\0\\ä{}42-7".as_bytes());
        let mut out = Output::new();
        template.write(42, 7, &mut out);
        assert_eq!(out.take(&[]), text);
        assert!(Template::parse("").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (text, why) in [
            ("\\", "end"),
            ("\\q", "\\q"),
            ("\\x1", "two hex"),
            ("\\xzz", "two hex"),
            ("{", "}"),
            ("{id}", "{seq}"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
