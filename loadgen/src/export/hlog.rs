//! HdrHistogram log of the intervals. Not here: the whole distribution (`hgrm`).

use super::{Of, broken};
use crate::Error;
use crate::run::Finished;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use std::time::{Duration, UNIX_EPOCH};

/// The latencies of completed requests, an interval a line, as the Java tools read them: log format 1.3, values in nanoseconds,
/// the column of maxima in milliseconds.
///
/// Requests that were not answered are in no interval; the histogram in the JSON has their ages. Other distributions than the latency
/// are not kept by intervals: they are one line over the window.
pub(crate) fn hlog(finished: &Finished, of: Of) -> Result<Vec<u8>, Error> {
    let load = &finished.load;
    let start = UNIX_EPOCH + Duration::from_nanos(load.started_at_ns);
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    {
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(&format!("[{}, in ns; target {}]", title(of), load.target))
            .with_start_time(start)
            .with_base_time(start)
            .with_max_value_divisor(1e6)
            .begin_log_with(&mut bytes, &mut serializer)
            .map_err(broken)?;
        if of != Of::Latency {
            let whole = Duration::from_nanos(load.elapsed_ns);
            let (histogram, _) = of.pick(load)?;
            log.write_histogram(&histogram, Duration::ZERO, whole, None)
                .map_err(|e| broken(e.to_string()))?;
        }
        let intervals = load.intervals.iter().zip(&finished.latencies).filter(|_| of == Of::Latency);
        for (interval, latency) in intervals {
            let at = Duration::from_nanos(interval.start_ns);
            let length = Duration::from_nanos(interval.length_ns);
            log.write_histogram(latency, at, length, None).map_err(|e| broken(e.to_string()))?;
        }
    }
    Ok(bytes)
}

fn title(of: Of) -> &'static str {
    match of {
        Of::Latency => "Latency from the intended start",
        Of::Service => "From the actual send",
        Of::Lag => "The generator's own lag",
        Of::Connect => "From connect(2) to the connection",
        Of::FirstByte => "From the actual send to the first byte of the reply",
        Of::Late => "Latency of the replies after the time-out",
        Of::Unanswered => "Ages of the requests without a reply at the end",
    }
}
