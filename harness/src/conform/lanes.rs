//! Cases side by side: each lane has an instance of the subject to itself, so that what one case does to it no other sees.
//! Not here: which cases bear company (`Case::is_alone`), and what is concluded of one.

use super::case::Case;
use super::control::Control;
use super::runner::{Options, one};
use super::subject::Subject;
use record::conform::CaseResult;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs `cases` in as many lanes as `options` allows and the subject has instances; `tell` hears of each as it ends. None is begun once
/// `stop` says so.
pub(super) fn run(
    subject: &mut Subject,
    control: &Control,
    cases: Vec<&'static Case>,
    options: &Options,
    stop: &(dyn Fn() -> bool + Sync),
    tell: &mut (dyn FnMut(&Subject, &mut CaseResult) + Send),
) -> Vec<CaseResult> {
    let most = options.lanes.min(cases.len());
    let mut twins: Vec<Subject> = (1..most).map_while(|_| subject.twin()).collect();
    let queue = Mutex::new(VecDeque::from(cases));
    let told = Mutex::new((tell, Vec::new()));
    let lane = |subject: &mut Subject| {
        while !stop() {
            let Some(case) = lock(&queue).pop_front() else { break };
            let mut result = one(subject, control, case, options);
            let mut told = lock(&told);
            (told.0)(subject, &mut result);
            told.1.push(result);
        }
    };
    std::thread::scope(|scope| {
        for twin in &mut twins {
            scope.spawn(|| lane(twin));
        }
        lane(subject);
    });
    told.into_inner().unwrap_or_else(PoisonError::into_inner).1
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
