//! The parts without sockets: the services, server side and client side, and the recorder. Not here: anything that waits.
#![allow(clippy::expect_used, reason = "a bench that cannot run says why by failing")]

use criterion::{BenchmarkId, Criterion, Throughput};
use service::client::{AnyClient, Ask, Client as _};
use service::{Kind, Output, Protocol, Service};
use std::hint::black_box;
use std::time::Duration;

fn ask(kind: Kind) -> Ask {
    Ask { kind, size: 64, work: None, path: None, host: "localhost".to_owned(), close: false, seed: 1 }
}

/// One request of the service, as its own client writes it.
fn request(kind: Kind) -> Vec<u8> {
    let mut out = Output::new();
    AnyClient::new(&ask(kind), 0).request(0, &mut out);
    out.take(&[])
}

fn answer(protocol: &mut impl Protocol, input: &[u8], out: &mut Output) -> usize {
    out.set_base(0);
    let (consumed, _) = protocol.on_input(black_box(input), out);
    let len = out.len() as usize;
    out.advance(len);
    consumed
}

/// Shows a request to a server side; the bytes consumed.
type Answer = Box<dyn FnMut(&[u8], &mut Output) -> usize>;

fn servers(c: &mut Criterion) {
    let mut group = c.benchmark_group("service_request");
    group.throughput(Throughput::Elements(1));
    let mut one = |name: &str, kind: Kind, mut answer_one: Answer| {
        let input = request(kind);
        let mut out = Output::new();
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| answer_one(&input, &mut out)));
    };
    let mut echo = service::echo::Echo::default().open();
    one("echo", Kind::Echo, Box::new(move |input, out| answer(&mut echo, input, out)));
    let mut sized = service::sized::SizedService { work: None }.open();
    one("sized", Kind::Sized, Box::new(move |input, out| answer(&mut sized, input, out)));
    let mut http = service::http::Http { work: None }.open();
    one("http", Kind::Http, Box::new(move |input, out| answer(&mut http, input, out)));
    group.finish();
}

fn clients(c: &mut Criterion) {
    let mut group = c.benchmark_group("client_checks_reply");
    group.throughput(Throughput::Bytes(64));
    let mut client = AnyClient::new(&ask(Kind::Echo), 0);
    let mut out = Output::new();
    group.bench_function("echo_64B", |b| {
        b.iter(|| {
            client.request(black_box(7), &mut out);
            let reply = out.take(&[]);
            client.on_reply(&reply)
        });
    });
    group.finish();
}

fn recorder(c: &mut Criterion) {
    let mut group = c.benchmark_group("recorder");
    group.throughput(Throughput::Elements(1));
    let mut histogram = record::histogram::new().expect("fixed bounds");
    let mut exact = record::histogram::Exact::default();
    let mut value: u64 = 1;
    group.bench_function("record", |b| {
        b.iter(|| {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) >> 34;
            histogram.saturating_record(black_box(value));
            exact.add(value);
        });
    });
    group.bench_function("encode", |b| b.iter(|| record::histogram::encode(&histogram)));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    servers(&mut criterion);
    clients(&mut criterion);
    recorder(&mut criterion);
    criterion.final_summary();
}
