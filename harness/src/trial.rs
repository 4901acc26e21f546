//! One trial: a fresh server, a warm-up, a timed window, a look at what is left. Not here: the order of trials.

use crate::counting::Counting;
use crate::cpus::Split;
use crate::interrupt::Interrupt;
use crate::observe::{self, Watcher};
use crate::plan::Planned;
use crate::spawn::{Child, ServerCommand, SpawnError, Tool, ToolCommand, ToolRun};
use record::SCHEMA;
use record::load::{Load, Verdict, VerdictState};
use record::run::{Faults, Observation, Record};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::Family;

/// How long a server may take to end after SIGTERM before that is a fault.
const GRACE: Duration = Duration::from_secs(3);

/// How long after the load zombies may be reaped and descriptors closed before they count as left.
const SETTLE: Duration = Duration::from_millis(500);

/// What the generator may take beyond its window: connecting, late replies, writing.
const LOAD_EXTRA: Duration = Duration::from_secs(15);

/// What a trial mostly takes beside its windows: starting, settling, stopping, writing.
const OVERHEAD: Duration = Duration::from_millis(150);

/// What is the same for all trials of a run.
#[derive(Clone, Debug)]
pub struct Bench {
    /// This program, which is also the servers and the generator.
    pub exe: PathBuf,
    /// A server to start instead of the model's: program and first arguments, which `--listen URL …` follows. For servers that are
    /// broken on purpose.
    pub stand_in: Option<(PathBuf, Vec<OsString>)>,
    /// Processors of both sides.
    pub cpus: Split,
    /// Warm-up.
    pub warm_up: Duration,
    /// Timed window, where the workload does not say.
    pub duration: Duration,
    /// Id of the run.
    pub run_id: String,
}

/// Which trial it is.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Number within the scenario, from 1.
    pub trial: u32,
    /// Place in the run, from 1.
    pub order: u32,
    /// Seed.
    pub seed: u64,
}

impl Bench {
    /// Runs one trial; `None` when the user asked to end before it was complete.
    ///
    /// # Errors
    /// [`SpawnError`] when the harness itself could not start or watch a process. A server that fails is a record with faults.
    pub fn run(
        &self,
        planned: &Planned,
        turn: Turn,
        interrupt: &Interrupt,
    ) -> Result<Option<Record>, SpawnError> {
        let mut command = self.server_command(planned, turn);
        let mut record = self.empty_record(planned, turn, &command);
        let mut counting = self.count_in(&mut command);
        let mut server = match Child::server(&command) {
            Ok(server) => server,
            Err(SpawnError::NotReady { how, ended, stderr, .. }) => {
                record.server.faults = Faults {
                    exit_status: ended.as_ref().and_then(|e| e.status),
                    killed_by: ended.and_then(|e| e.killed_by),
                    died_early: true,
                    stderr,
                    ..Faults::default()
                };
                record.verdict.object(VerdictState::Invalid, format!("the server {how}"));
                return Ok(Some(record));
            }
            Err(other) => return Err(other),
        };
        record.server.ready_ns = Some(server.ready_ns);
        if let Some(counting) = &mut counting {
            counting.attach();
        }
        let mut watcher = Watcher::new(server.identity());
        let before = Before { descriptors: watcher.descriptors(), memory: watcher.anonymous_bytes() };
        let overflows = observe::listen_overflows();
        let tool = Tool::start(&self.load_command(planned, turn, server.url()))?;
        let window = self.window(planned);
        let Some((run, memory)) = self.watch_load(tool, &mut watcher, &mut counting, window, interrupt)
        else {
            return Ok(None);
        };
        self.take_load(&mut record, &run);
        if planned.family == Family::Tcp {
            record.server.listen_overflows = observe::listen_overflows()
                .zip(overflows)
                .map(|(after, before)| after.saturating_sub(before));
        }
        take_use(&mut record, &watcher, &before, memory, planned);
        take_counts(&mut record, counting.as_ref());
        finish(&mut record, &mut server, &watcher, &before);
        if !self.cpus.apart() {
            record.verdict.object(VerdictState::Suspect, "server and generator share a processor".to_owned());
        }
        Ok(Some(record))
    }

    /// How long a trial of this scenario is expected to take.
    #[must_use]
    pub fn takes(&self, planned: &Planned) -> Duration {
        self.warm_up + self.window(planned) + OVERHEAD
    }

    fn window(&self, planned: &Planned) -> Duration {
        planned.workload.duration.map_or(self.duration, |time| time.0)
    }

    /// Where the server of a trial listens: the kernel chooses the port; a Unix socket gets an abstract name, which is this trial's
    /// alone and leaves no file behind, also when all are killed.
    fn address(&self, planned: &Planned, turn: Turn) -> String {
        match planned.family {
            Family::Tcp | Family::Udp => format!("{}://127.0.0.1:0", planned.family),
            Family::Unix | Family::Unixgram => {
                let (family, pid) = (planned.family, std::process::id());
                format!("{family}:@server-models-{}-{pid}-{}", self.run_id, turn.order)
            }
        }
    }

    fn server_command(&self, planned: &Planned, turn: Turn) -> ServerCommand {
        let serve = || (self.exe.clone(), vec!["serve".into(), planned.scenario.model.clone().into()]);
        let (program, mut args) = self.stand_in.clone().unwrap_or_else(serve);
        let service = planned.workload.service.as_str();
        let address = self.address(planned, turn);
        args.extend(["--listen", &address, "--service", service].map(OsString::from));
        // A worker of a blocking pool waits most of its time: their number is the model's own, not that of the processors.
        let own = servers::model(&planned.scenario.model).and_then(|entry| entry.model.capacity.workers());
        if own.is_none() {
            args.extend(["--workers".into(), self.cpus.server.len().to_string().into()]);
        }
        let mut command = ServerCommand::new(program, args);
        command.begin.cpus.clone_from(&self.cpus.server);
        command
    }

    /// Has a server of ours count what its workers do. What the record shows is the command without it: the file is this trial's.
    fn count_in(&self, command: &mut ServerCommand) -> Option<Counting> {
        let counting = if self.stand_in.is_none() { Counting::begin() } else { None }?;
        command.args.extend(["--counters".into(), counting.path().into()]);
        Some(counting)
    }

    fn load_command(&self, planned: &Planned, turn: Turn, url: &str) -> ToolCommand {
        let mut args: Vec<OsString> = vec!["load".into(), "--quiet".into(), "--json".into(), "-".into()];
        let window = self.window(planned);
        args.extend(crate::asked::options(&planned.workload, window, self.warm_up, turn.seed));
        args.push(url.into());
        let mut command = ToolCommand::new(&self.exe, args);
        command.begin.cpus.clone_from(&self.cpus.load);
        command
    }

    fn empty_record(&self, planned: &Planned, turn: Turn, command: &ServerCommand) -> Record {
        Record {
            schema: SCHEMA,
            run_id: self.run_id.clone(),
            scenario: planned.scenario.clone(),
            trial: turn.trial,
            order: turn.order,
            seed: turn.seed,
            verdict: Verdict::valid(),
            load: None,
            server: Observation {
                command: shown_command(command),
                cpus: self.cpus.server.clone(),
                ..Observation::default()
            },
        }
    }

    /// Watches until the generator ends; what it left, and the server's memory in the middle of the warm-up.
    fn watch_load(
        &self,
        mut tool: Tool,
        watcher: &mut Watcher,
        counting: &mut Option<Counting>,
        window: Duration,
        interrupt: &Interrupt,
    ) -> Option<(ToolRun, Option<u64>)> {
        let start = Instant::now();
        let edges = [self.warm_up, self.warm_up + window];
        let mut memory = None;
        let mut walked = false;
        while tool.wait(observe::until_next(start.elapsed(), edges)).is_none() {
            if interrupt.asked() {
                return None;
            }
            let elapsed = start.elapsed();
            watcher.sample();
            if let Some(counting) = counting {
                counting.sample(elapsed, edges);
            }
            if memory.is_none() && elapsed >= self.warm_up / 2 {
                memory = Some(watcher.anonymous_bytes());
                watcher.walk();
            }
            if !walked && elapsed >= self.warm_up + window / 2 {
                watcher.walk();
                walked = true;
            }
            if elapsed >= edges[1] + LOAD_EXTRA {
                break;
            }
        }
        watcher.sample();
        if let Some(counting) = counting {
            // Past the last edge: the generator has ended.
            counting.sample(edges[1], edges);
        }
        watcher.walk();
        Some((tool.finish(Duration::ZERO), memory.flatten()))
    }

    fn take_load(&self, record: &mut Record, run: &ToolRun) {
        match serde_json::from_slice::<Load>(&run.stdout) {
            Ok(load) => {
                for reason in &load.verdict.reasons {
                    record.verdict.object(load.verdict.state, reason.clone());
                }
                record.load = Some(load);
            }
            Err(_) => {
                let last = run.stderr.lines().last().unwrap_or("no word of why").to_owned();
                let how = if run.late { "did not end in time".to_owned() } else { run.ended.to_string() };
                record
                    .verdict
                    .object(VerdictState::Invalid, format!("the generator gave no result ({how}): {last}"));
            }
        }
    }
}

/// The server as it was before the load.
struct Before {
    descriptors: Option<usize>,
    memory: Option<u64>,
}

/// The command line as anyone can repeat it: without this machine's path to the program.
fn shown_command(command: &ServerCommand) -> String {
    let args: Vec<_> = command.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    format!("harness {}", args.join(" "))
}

fn take_use(record: &mut Record, watcher: &Watcher, before: &Before, memory: Option<u64>, planned: &Planned) {
    let server = &mut record.server;
    server.cpu_source = watcher.source().to_owned();
    server.peak_rss_bytes = Some(watcher.peak.rss_bytes);
    server.threads = Some(watcher.peak.threads);
    server.processes = Some(watcher.peak.processes);
    let Some(load) = &record.load else { return };
    server.cpu_ns = watcher.cpu_between(load.started_at_ns, load.started_at_ns + load.elapsed_ns);
    // Aborted requests cost the server too: what it was asked is what it is charged for.
    let asked = load.requests.completed + load.requests.aborted;
    if let Some(cpu_ns) = server.cpu_ns
        && asked > 0
    {
        server.cpu_ns_per_request = Some(cpu_ns as f64 / asked as f64);
    }
    let stays = planned.workload.requests_per_connection.is_none();
    if let (true, Some(before), Some(during)) = (stays, before.memory, memory)
        && load.connections.wanted > 0
    {
        server.bytes_per_connection =
            Some(during.saturating_sub(before) as f64 / load.connections.wanted as f64);
    }
}

fn take_counts(record: &mut Record, counting: Option<&Counting>) {
    if let (Some(load), Some(counting)) = (&record.load, counting) {
        record.server.workers = counting.between(load.started_at_ns, load.started_at_ns + load.elapsed_ns);
    }
}

/// After the load: what is left, does it end as told, and how it ended.
fn finish(record: &mut Record, server: &mut Child, watcher: &Watcher, before: &Before) {
    let alive = server.try_ended().is_none();
    if alive {
        settle(&mut record.server.faults, watcher, before);
    }
    let used_before = sys::process::children_usage();
    let stopped = server.stop(GRACE);
    let used = sys::process::children_usage();
    let faults = &mut record.server.faults;
    faults.stderr = server.stderr_tail();
    faults.died_early = stopped.was_over || !alive;
    if faults.died_early {
        faults.exit_status = stopped.ended.status;
        faults.killed_by.clone_from(&stopped.ended.killed_by);
        let how = stopped.ended.to_string();
        record.verdict.object(VerdictState::Invalid, format!("the server {how} while it was being measured"));
        return;
    }
    faults.ignored_term = stopped.ignored_term;
    if !stopped.ignored_term {
        faults.exit_status = stopped.ended.status;
        faults.killed_by.clone_from(&stopped.ended.killed_by);
    }
    take_switches(&mut record.server, used_before, used);
}

/// The whole life's context switches, of which the window has the share that it has of the processor time: ended children's
/// switches can be had for the whole life only.
fn take_switches(server: &mut Observation, before: sys::process::Usage, after: sys::process::Usage) {
    let life_ns = after.cpu_ns.saturating_sub(before.cpu_ns);
    let Some(window_ns) = server.cpu_ns.filter(|_| life_ns > 0) else { return };
    let share = (window_ns as f64 / life_ns as f64).min(1.0);
    let scaled = |after: u64, before: u64| Some((after.saturating_sub(before) as f64 * share).round() as u64);
    server.voluntary_switches = scaled(after.voluntary_switches, before.voluntary_switches);
    server.involuntary_switches = scaled(after.involuntary_switches, before.involuntary_switches);
}

fn settle(faults: &mut Faults, watcher: &Watcher, before: &Before) {
    let end = Instant::now() + SETTLE;
    loop {
        faults.zombies = watcher.zombies();
        faults.descriptors_left = match (watcher.descriptors(), before.descriptors) {
            (Some(now), Some(before)) => now as i64 - before as i64,
            _ => 0,
        };
        let clean = faults.zombies == 0 && faults.descriptors_left <= 0;
        if clean || Instant::now() >= end {
            faults.descriptors_left = faults.descriptors_left.max(0);
            return;
        }
        // What is waited for is another process's doing, which announces itself to nobody.
        sys::clock::pause(Duration::from_millis(5));
    }
}
