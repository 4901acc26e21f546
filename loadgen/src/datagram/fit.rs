//! What cannot be asked of a target that takes datagrams. Not here: what holds for every target (see `Config::check`).
//!
//! An abort over datagrams is `after-request:SHARE:fin` alone: the socket is closed behind the request, so that the answer finds nobody.
//!
//! ```text
//! phase          udp                                         unixgram
//! connect        nothing: there is no handshake              the same
//! mid-request    nothing: a datagram goes whole or not at all  the same
//! after-request  the answer draws ICMP port unreachable,     the answer's send meets ECONNREFUSED
//!                which the server's next call on a connected
//!                socket meets as ECONNREFUSED
//! mid-response   nothing: an answer is read whole            the same
//! idle           nothing that a server could see             the same
//! ```
//!
//! There is no RST: `fin` stands for the close, and the other kinds have no meaning.

use super::speaker::is_tagged;
use crate::abort::{Kind as End, Phase};
use crate::config::{Config, Mechanism};
use crate::life::{Life, Reconnect};
use service::Kind;
use service::datagram::MAX_DATAGRAM;

/// What is wrong with the configuration, in one sentence.
pub(crate) fn problem(config: &Config) -> Option<String> {
    let whole = |rule: &&crate::abort::Rule| rule.phase == Phase::AfterRequest && rule.kind == End::Fin;
    if let Some(rule) = config.aborts.rules().iter().find(|rule| !whole(rule)) {
        return Some(format!(
            "`--abort {rule}` means nothing to datagrams: only after-request:SHARE:fin does, which closes the socket behind the request"
        ));
    }
    if config.engine != Mechanism::Epoll {
        return Some("the engine on io_uring speaks streams: leave --engine out".to_owned());
    }
    let Life { lifetime, reconnect, connect_rate_per_s, .. } = config.life;
    if lifetime.is_some() || connect_rate_per_s.is_some() || reconnect != Reconnect::Lazy {
        return Some(
            "`--lifetime`, `--reconnect` and `--connect-rate` are about connections: datagrams have none"
                .to_owned(),
        );
    }
    if config.idle > 0 {
        return Some(
            "`--idle` is for streams: a socket that sends nothing is nothing to a server of datagrams"
                .to_owned(),
        );
    }
    match &config.raw {
        Some(dialogue) if dialogue.turns.len() != 1 || dialogue.banner.is_some() => {
            return Some("over datagrams, raw is one --send and one --expect, without --banner".to_owned());
        }
        Some(_) => {}
        None if config.ask.kind == Kind::Http => {
            return Some("http needs a stream: write http://HOST:PORT or unix:/PATH".to_owned());
        }
        None if config.ask.size > MAX_DATAGRAM as u64 && config.ask.kind != Kind::Greeting => {
            return Some(format!("a datagram is at most {MAX_DATAGRAM} bytes long: lower --size"));
        }
        None => {}
    }
    if config.pipeline > 1 && !is_tagged(config) {
        return Some(
            "`--pipeline` wants answers that say what they answer: echo or sized of at least 16 bytes"
                .to_owned(),
        );
    }
    None
}
