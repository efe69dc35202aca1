//! Which scan runs and which waits, as plain data.
//!
//! Invariant: at most `limit` scans run; a scan is in one place only; those that wait start in the
//! order in which they came.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::domain::ScanId;

/// Waiting scans at most; a client that sends more is told to come back.
pub(super) const CAPACITY: usize = 100_000;

/// Where a scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Waiting,
    Running,
    Unknown,
}

#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    waiting: VecDeque<ScanId>,
    running: HashSet<ScanId>,
    open: bool,
    positions: Option<Arc<HashMap<ScanId, usize>>>,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            waiting: VecDeque::new(),
            running: HashSet::new(),
            open: true,
            positions: None,
        }
    }

    /// Adds a scan at the end and returns its place, from 1.
    pub(super) fn push(&mut self, scan_id: ScanId) -> usize {
        self.positions = None;
        self.waiting.push_back(scan_id);
        self.waiting.len()
    }

    /// Takes the next scan if there is a slot for it.
    pub(super) fn start_next(&mut self) -> Option<ScanId> {
        if !self.open || self.running.len() >= self.limit {
            return None;
        }
        let scan_id = self.waiting.pop_front()?;
        self.positions = None;
        self.running.insert(scan_id.clone());
        Some(scan_id)
    }

    /// Frees a scan's slot.
    pub(super) fn done(&mut self, scan_id: &ScanId) {
        self.running.remove(scan_id);
    }

    /// Takes a waiting scan out; false when it does not wait.
    pub(super) fn remove_waiting(&mut self, scan_id: &ScanId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting != scan_id);
        self.positions = None;
        self.waiting.len() < before
    }

    pub(super) fn place(&self, scan_id: &ScanId) -> Place {
        if self.running.contains(scan_id) {
            Place::Running
        } else if self.waiting.contains(scan_id) {
            Place::Waiting
        } else {
            Place::Unknown
        }
    }

    /// Starts nothing more.
    pub(super) fn close(&mut self) {
        self.open = false;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= CAPACITY
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Forgets everything: the database knows it all.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.running.clear();
        self.positions = None;
    }

    pub(super) fn positions(&mut self) -> Arc<HashMap<ScanId, usize>> {
        let waiting = &self.waiting;
        Arc::clone(
            self.positions
                .get_or_insert_with(|| Arc::new(waiting.iter().cloned().zip(1..).collect())),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> ScanId {
        ScanId::new(n.to_string())
    }

    #[test]
    fn scans_start_in_order_and_within_the_limit() {
        let mut queue = Queue::new(2);
        assert_eq!(
            [queue.push(id(1)), queue.push(id(2)), queue.push(id(3))],
            [1, 2, 3]
        );
        assert_eq!(queue.start_next(), Some(id(1)));
        assert_eq!(queue.start_next(), Some(id(2)));
        assert_eq!(queue.start_next(), None);
        assert_eq!(queue.positions().get(&id(3)), Some(&1));
        queue.done(&id(1));
        assert_eq!(queue.start_next(), Some(id(3)));
        assert_eq!(queue.place(&id(3)), Place::Running);
        assert_eq!(queue.place(&id(1)), Place::Unknown);
    }

    #[test]
    fn a_closed_queue_starts_nothing_and_keeps_what_waits() {
        let mut queue = Queue::new(1);
        queue.push(id(1));
        queue.close();
        assert_eq!(queue.start_next(), None);
        assert_eq!(queue.waiting(), 1);
    }

    proptest! {
        #[test]
        fn the_limit_holds_and_nobody_is_lost(
            limit in 1_usize..4,
            steps in prop::collection::vec((0_u8..4, any::<u8>()), 0..200)
        ) {
            let mut queue = Queue::new(limit);
            let mut sent = 0_u8;
            let mut started = Vec::new();
            let mut removed = 0;
            for (step, pick) in steps {
                match step {
                    0 if sent < 250 => { queue.push(id(sent)); sent += 1; }
                    1 => started.extend(queue.start_next()),
                    2 if !started.is_empty() => {
                        queue.done(&started[usize::from(pick) % started.len()]);
                    }
                    3 => removed += usize::from(queue.remove_waiting(&id(pick))),
                    _ => {}
                }
                prop_assert!(queue.running() <= limit);
                prop_assert_eq!(started.len() + queue.waiting() + removed, usize::from(sent));
            }
            let numbers: Vec<u8> = started.iter().map(|id| id.as_str().parse().unwrap()).collect();
            prop_assert!(numbers.is_sorted());
        }
    }
}
