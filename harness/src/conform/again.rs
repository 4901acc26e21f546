//! The command line that runs one case again, as a shell takes it. Not here: what a run's arguments mean.

use super::cli::Args;

/// The command that runs just this case again.
pub(super) fn again(args: &Args, name: &str, id: &str) -> String {
    let mut words = vec!["harness".to_owned(), "conform".to_owned()];
    words.extend(args.target.clone());
    let subjects = args.subjects.as_ref().map(|path| path.display().to_string());
    for (flag, value) in [
        ("--subjects", subjects.clone()),
        ("--subject", subjects.map(|_| name.to_owned())),
        ("--service", args.service.map(|k| k.name().to_owned())),
        ("--family", args.family.clone()),
        ("--listen", args.listen.clone()),
        ("--send", args.send.clone()),
        ("--reply", args.reply.clone()),
        ("--pid", args.pid.map(|p| p.to_string())),
        ("--case", Some(id.to_owned())),
        ("--seed", Some(args.seed.to_string())),
        ("--repeat", (args.repeat > 1).then(|| args.repeat.to_string())),
    ] {
        if let Some(value) = value {
            words.extend([flag.to_owned(), quoted(&value)]);
        }
    }
    for (flag, set) in [
        ("--strict", args.strict),
        ("--concurrent", args.concurrent),
        ("--quick", args.quick),
        ("--netns", args.netns),
        ("--no-netns", args.no_netns),
    ] {
        if set {
            words.push(flag.to_owned());
        }
    }
    if !args.command.is_empty() {
        words.push("--".to_owned());
        words.extend(args.command.iter().map(|word| quoted(&word.to_string_lossy())));
    }
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
