//! The services without sockets: every split of every message, both sides, and each rule of HTTP as a row. Not here: the models.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

// What a driver does, done in memory.
mod driver;
// The messages that the splits are tried on.
mod messages;
// S1: what is sent does not depend on how the input was cut.
mod splits;
// S3, S4, S5: half-close, bounds and garbage.
mod bounds;
// One row for each rule of `sized`.
mod sized_rules;
// One row for each rule of HTTP.
mod http_rules;
// The rules about the content of requests.
mod http_content;
// Clients find what is wrong with a reply, for any cut of it.
mod clients;
// What the client of `http` makes of the replies of other servers.
mod http_replies;
// Server and client of each service, joined.
mod together;
// What a user gives to be said and expected.
mod raw;
// Datagrams: both sides.
mod datagrams;
