//! The flags about HTTP: what is asked of any server, and which answers will do. Not here: framing.

use super::raw::{read, words};
use crate::{Config, Error};
use service::Kind;
use service::http::{Content, Exchange};
use service::raw::{Pattern, Template};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What is asked, and expected.
#[derive(Debug, clap::Args)]
pub(crate) struct HttpFlags {
    /// http: method [default: GET, with --body POST]
    #[arg(long, hide_short_help = true, value_name = "NAME", help_heading = "Requests")]
    method: Option<String>,
    /// http: a header field, `Name: value`; repeatable
    #[arg(short = 'H', long, hide_short_help = true, value_name = "FIELD", help_heading = "Requests")]
    header: Vec<String>,
    /// http: content of each request, TEXT with \r \n \xNN, or @FILE
    #[arg(long, hide_short_help = true, value_name = "TEXT", help_heading = "Requests")]
    body: Option<String>,
    /// http: more paths than the URL's, asked for in turn: a path, or @FILE with one on each line; repeatable
    #[arg(long, hide_short_help = true, value_name = "PATH", help_heading = "Requests")]
    path: Vec<String>,
    /// http: status codes that will do, as 200,404 or 2xx [default: 200 to 399]
    #[arg(long, hide_short_help = true, value_name = "CODES", value_delimiter = ',', help_heading = "Requests", value_parser = parse_status)]
    expect_status: Vec<Status>,
    /// http: what the content of each answer is: TEXT, @FILE, or regex:RE that matches in it
    #[arg(long, hide_short_help = true, value_name = "WHAT", help_heading = "Requests")]
    expect_body: Option<String>,
}

/// Fields whose values are not written down.
const SECRET: [&str; 3] = ["Authorization", "Proxy-Authorization", "Cookie"];

/// A range of status codes.
type Status = RangeInclusive<u16>;

fn parse_status(text: &str) -> Result<Status, String> {
    let code = |text: &str| text.parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    let range = match text.strip_suffix("xx") {
        Some(class) => {
            class.parse::<u16>().ok().filter(|class| (1..=5).contains(class)).map(|c| c * 100..=c * 100 + 99)
        }
        None => code(text).map(|code| code..=code),
    };
    range.ok_or_else(|| format!("`{text}` is no status: write 200, or 2xx for 200 to 299"))
}

fn show_status(status: &Status) -> String {
    match (status.start(), status.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

impl HttpFlags {
    fn is_given(&self) -> bool {
        self.method.is_some()
            || !self.header.is_empty()
            || self.body.is_some()
            || !self.path.is_empty()
            || !self.expect_status.is_empty()
            || self.expect_body.is_some()
    }

    /// The flags for the record, which is passed on: without what opens doors.
    fn words(&self) -> BTreeMap<String, Vec<String>> {
        let status: Vec<String> = self.expect_status.iter().map(show_status).collect();
        let header: Vec<String> = self.header.iter().map(|field| without_secret(field)).collect();
        words([
            ("method", self.method.as_slice()),
            ("header", header.as_slice()),
            ("body", self.body.as_slice()),
            ("path", self.path.as_slice()),
            ("expect-status", status.as_slice()),
            ("expect-body", self.expect_body.as_slice()),
        ])
    }

    /// Makes what the flags ask for the run's, where any is given.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<(), Error> {
        if !self.is_given() {
            return Ok(());
        }
        if config.kind() != Some(Kind::Http) {
            return Err(Error::Usage(
                "--method, --header, --body, --path, --expect-status and --expect-body belong to http"
                    .to_owned(),
            ));
        }
        let mut paths: Vec<_> = config.url.path.iter().cloned().collect();
        for path in &self.path {
            match path.strip_prefix('@') {
                Some(file) => paths.extend(lines(file)?),
                None => paths.push(path.clone()),
            }
        }
        if paths.is_empty() {
            paths.extend(config.ask.path.clone());
        }
        if paths.is_empty() {
            return Err(Error::Usage(
                "--size and --work ask for paths of our own servers: leave them out, or give --path"
                    .to_owned(),
            ));
        }
        if let Some(bad) = paths
            .iter()
            .find(|path| !path.starts_with(['/', '*']) || path.bytes().any(|b| b <= b' ' || b == 0x7f))
        {
            return Err(Error::Usage(format!("`{bad}` is no path: it begins with / and holds no blanks")));
        }
        let method = self
            .method
            .clone()
            .unwrap_or_else(|| if self.body.is_some() { "POST" } else { "GET" }.to_owned());
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(Error::Usage(format!("`{method}` is no method")));
        }
        config.words = self.words();
        config.ask.path.get_or_insert_with(|| "/".to_owned());
        config.http = Some(Arc::new(Exchange {
            method,
            fields: self.header.iter().map(|field| header(field)).collect::<Result<_, _>>()?,
            body: self.body.as_deref().map(|text| content("--body", text)).transpose()?,
            paths,
            status: self.expect_status.clone(),
            expect: self.expect_body.as_deref().map(expected).transpose()?,
        }));
        Ok(())
    }
}

/// A header field, of one that proves who asks only how long it is.
fn without_secret(field: &str) -> String {
    match field.split_once(':') {
        Some((name, value)) if SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)) => {
            format!("{name}: ({} bytes)", value.trim().len())
        }
        _ => field.to_owned(),
    }
}

/// A byte of a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn header(text: &str) -> Result<String, Error> {
    match text.split_once(':') {
        Some((name, value))
            if !name.is_empty() && name.bytes().all(is_token) && !value.contains(['\r', '\n', '\0']) =>
        {
            Ok(format!("{name}: {}", value.trim()))
        }
        _ => Err(Error::Usage(format!("`{text}` is no header field: write 'Name: value'"))),
    }
}

fn content(flag: &str, text: &str) -> Result<Vec<u8>, Error> {
    if let Some(path) = text.strip_prefix('@') {
        return read(flag, path);
    }
    let usage = |why: String| Error::Usage(format!("{flag}: {why}"));
    let template = Template::parse(text).map_err(usage)?;
    template.as_fixed().map(<[u8]>::to_vec).ok_or_else(|| usage("there are no placeholders here".to_owned()))
}

fn expected(text: &str) -> Result<Content, Error> {
    match text.strip_prefix("regex:") {
        Some(expression) => Pattern::new(expression)
            .map(Content::Matching)
            .map_err(|why| Error::Usage(format!("--expect-body: {why}"))),
        None => content("--expect-body", text).map(Content::Exactly),
    }
}

/// The lines of a file that are not empty.
fn lines(path: &str) -> Result<Vec<String>, Error> {
    let text = String::from_utf8_lossy(&read("--path", path)?).into_owned();
    Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}
