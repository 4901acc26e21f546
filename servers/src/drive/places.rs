//! Things by descriptor number, each under a mutex of its own, found without one: for threads that share connections.
//! Not here: what the things are. Room is made by the thousand, and kept.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Places made at a time, and how often: room for a million numbers, which is the kernel's own limit (fs.nr_open).
const CHUNK: usize = 1024;
const CHUNKS: usize = 1024;

/// A place: empty, or with one thing.
type Place<T> = Mutex<Option<T>>;

/// A thousand of them, made when the first is wanted.
type Chunk<T> = OnceLock<Box<[Place<T>]>>;

/// All of them.
#[derive(Debug)]
pub struct Places<T>(Box<[Chunk<T>]>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self((0..CHUNKS).map(|_| OnceLock::new()).collect())
    }
}

impl<T> Places<T> {
    /// The place of `number`, locked; `None` for a number beyond reach.
    pub fn lock(&self, number: usize) -> Option<MutexGuard<'_, Option<T>>> {
        let chunk = self.0.get(number / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| Mutex::new(None)).collect());
        chunk.get(number % CHUNK).map(lock)
    }

    /// Shows everything that is there, one after the other.
    pub fn each(&self, mut show: impl FnMut(&mut T)) {
        for place in self.0.iter().filter_map(OnceLock::get).flatten() {
            if let Some(thing) = &mut *lock(place) {
                show(thing);
            }
        }
    }

    /// Takes out what `over` says is to go, one after the other.
    pub fn take(&self, mut over: impl FnMut(&mut T) -> bool, mut gone: impl FnMut(T)) {
        for place in self.0.iter().filter_map(OnceLock::get).flatten() {
            let mut place = lock(place);
            if place.as_mut().is_some_and(&mut over) {
                let thing = place.take();
                // The place is empty, and free, before the number can be another's.
                drop(place);
                thing.map(&mut gone);
            }
        }
    }
}

fn lock<T>(place: &Place<T>) -> MutexGuard<'_, Option<T>> {
    // A thread that panicked has lost its own connection's thread of thought, and no other's.
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_a_place_is_found_there_and_nowhere_else() {
        let places = Places::default();
        for number in [0, 5, 1023, 1024, 1_048_575] {
            *places.lock(number).unwrap() = Some(number);
        }
        assert!(places.lock(1_048_576).is_none() && places.lock(6).unwrap().is_none());
        let mut all = Vec::new();
        places.each(|number| all.push(*number));
        assert_eq!(all, [0, 5, 1023, 1024, 1_048_575]);
        let mut gone = Vec::new();
        places.take(|number| *number % 2 == 1, |number| gone.push(number));
        assert_eq!(gone, [5, 1023, 1_048_575]);
        assert!(places.lock(5).unwrap().is_none() && places.lock(1024).unwrap().is_some());
    }
}
