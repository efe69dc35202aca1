//! The life of one scan as a plain machine: inputs in, effects out.
//!
//! Invariant: whatever the order of inputs, at most one end is stored and at most one is told, and
//! the one told is the one stored.

use std::collections::BTreeSet;

use super::messages::StopReason;

/// How a scan ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With results.
    Completed,
    /// Without results.
    Failed(String),
    /// By a person.
    Cancelled,
}

/// What happens to a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// The row says `running`.
    Begun,
    /// The row was not `pending` any more: somebody else has ended the scan.
    NotPending,
    /// These scanners start now.
    Started(BTreeSet<String>),
    /// A scanner is done, well or badly.
    ScannerDone(String),
    /// The scan's time is over.
    BudgetElapsed,
    /// Scanners had their time to stop.
    PatienceElapsed,
    /// Somebody outside wants an end.
    Stop(StopReason),
    /// Findings are ready to be stored.
    Assembled,
    /// The end is in the database.
    Stored,
    /// The end could not be stored; the text says why.
    NotStored(String),
    /// Something of ours broke.
    Broken(String),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Find out which scanners can be asked, and start them.
    StartScanners,
    /// Tell the scanners to stop, and grant them a moment.
    StopScanners,
    /// Turn what was found into findings.
    Assemble,
    /// Write the end.
    Store(End),
    /// Write the end after a pause: it could not be written now.
    StoreAgain(End),
    /// Tell the world.
    Publish(End),
    /// Say the last word to the supervisor.
    Leave,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Created,
    Planning,
    Running,
    Assembling,
    Storing(End),
    /// The end is settled; scanners may still be stopping.
    Settled,
    Left,
}

/// The machine.
#[derive(Debug)]
pub(super) struct ScanState {
    phase: Phase,
    busy: BTreeSet<String>,
    stopping: bool,
    over_budget: bool,
    /// Asked before the row said `running`: kept until it does, since only a running row can end.
    stop_asked: Option<StopReason>,
    /// The end could not be written so far.
    store_fails: bool,
}

impl Default for ScanState {
    fn default() -> Self {
        Self {
            phase: Phase::Created,
            busy: BTreeSet::new(),
            stopping: false,
            over_budget: false,
            stop_asked: None,
            store_fails: false,
        }
    }
}

impl ScanState {
    /// Tells whether an end is on its way or reached: a cancel comes too late.
    #[must_use]
    pub(super) fn is_settling(&self) -> bool {
        matches!(self.phase, Phase::Storing(_) | Phase::Settled | Phase::Left)
    }

    /// Tells whether the end is stored and told.
    #[must_use]
    pub(super) fn has_settled(&self) -> bool {
        matches!(self.phase, Phase::Settled | Phase::Left)
    }

    /// Tells whether the scan's time ran out before its scanners were done.
    #[must_use]
    pub(super) const fn is_over_budget(&self) -> bool {
        self.over_budget
    }

    /// Returns the scanners that have not reported.
    #[cfg(test)]
    const fn busy(&self) -> &BTreeSet<String> {
        &self.busy
    }

    /// Takes one input; inputs that make no sense in the present phase change nothing.
    pub(super) fn step(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Begun if self.phase == Phase::Created => {
                self.phase = Phase::Planning;
                match self.stop_asked.take() {
                    Some(reason) => self.stop(reason),
                    None => vec![Effect::StartScanners],
                }
            }
            Input::NotPending if self.phase == Phase::Created => self.leave(),
            Input::Started(names) if self.phase == Phase::Planning => {
                self.phase = Phase::Running;
                self.busy = names;
                self.assemble_when_quiet()
            }
            Input::ScannerDone(name) => {
                self.busy.remove(&name);
                match self.phase {
                    Phase::Running => self.assemble_when_quiet(),
                    Phase::Settled if self.busy.is_empty() => self.leave(),
                    _ => Vec::new(),
                }
            }
            Input::BudgetElapsed if self.phase == Phase::Running => {
                self.over_budget = true;
                self.stop_scanners()
            }
            Input::PatienceElapsed => self.patience_elapsed(),
            Input::Stop(reason) if self.phase == Phase::Created => {
                self.stop_asked = Some(reason);
                Vec::new()
            }
            // The row is put right at the next start.
            Input::Stop(StopReason::Shutdown)
                if self.store_fails && matches!(self.phase, Phase::Storing(_)) =>
            {
                self.leave()
            }
            Input::Stop(reason) => self.stop(reason),
            Input::Broken(why) => self.settle(End::Failed(why)),
            Input::Assembled if self.phase == Phase::Assembling => {
                self.phase = Phase::Storing(End::Completed);
                vec![Effect::Store(End::Completed)]
            }
            Input::Stored => self.stored(),
            Input::NotStored(why) => self.not_stored(why),
            _ => Vec::new(),
        }
    }

    fn assemble_when_quiet(&mut self) -> Vec<Effect> {
        if !self.busy.is_empty() {
            return Vec::new();
        }
        self.phase = Phase::Assembling;
        vec![Effect::Assemble]
    }

    fn stop_scanners(&mut self) -> Vec<Effect> {
        if self.stopping {
            return Vec::new();
        }
        self.stopping = true;
        vec![Effect::StopScanners]
    }

    fn patience_elapsed(&mut self) -> Vec<Effect> {
        match self.phase {
            // Scanners that do not stop are left behind; their names stay in `busy`.
            Phase::Running if self.over_budget => {
                self.phase = Phase::Assembling;
                vec![Effect::Assemble]
            }
            Phase::Settled => self.leave(),
            _ => Vec::new(),
        }
    }

    fn stop(&mut self, reason: StopReason) -> Vec<Effect> {
        self.settle(match reason {
            StopReason::User => End::Cancelled,
            StopReason::Shutdown => {
                End::Failed("the server was stopped before the scan ended".to_owned())
            }
        })
    }

    fn settle(&mut self, end: End) -> Vec<Effect> {
        if self.is_settling() {
            return Vec::new();
        }
        self.phase = Phase::Storing(end.clone());
        let mut effects = self.stop_scanners();
        effects.push(Effect::Store(end));
        effects
    }

    fn stored(&mut self) -> Vec<Effect> {
        let Phase::Storing(end) = &self.phase else {
            return Vec::new();
        };
        let mut effects = vec![Effect::Publish(end.clone())];
        self.phase = Phase::Settled;
        if self.busy.is_empty() {
            effects.extend(self.leave());
        }
        effects
    }

    /// Results that cannot be stored become a failure, which is small. That is tried until it is
    /// stored, since only what is stored is told; the scan keeps its slot meanwhile.
    fn not_stored(&mut self, why: String) -> Vec<Effect> {
        self.store_fails = true;
        match &self.phase {
            Phase::Storing(End::Completed) => {
                let end = End::Failed(why);
                self.phase = Phase::Storing(end.clone());
                vec![Effect::Store(end)]
            }
            Phase::Storing(end) => vec![Effect::StoreAgain(end.clone())],
            _ => Vec::new(),
        }
    }

    fn leave(&mut self) -> Vec<Effect> {
        self.phase = Phase::Left;
        vec![Effect::Leave]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_scan_ends_completed() {
        let mut state = ScanState::default();
        assert_eq!(state.step(Input::Begun), [Effect::StartScanners]);
        assert_eq!(state.step(Input::Started(names(&["a", "b"]))), []);
        assert_eq!(state.step(Input::ScannerDone("a".into())), []);
        assert_eq!(
            state.step(Input::ScannerDone("b".into())),
            [Effect::Assemble]
        );
        assert_eq!(
            state.step(Input::Assembled),
            [Effect::Store(End::Completed)]
        );
        assert_eq!(
            state.step(Input::Stored),
            [Effect::Publish(End::Completed), Effect::Leave]
        );
        assert_eq!(state.step(Input::Stop(StopReason::User)), []);
    }

    #[test]
    fn a_scan_without_scanners_ends_completed_too() {
        let mut state = ScanState::default();
        state.step(Input::Begun);
        assert_eq!(state.step(Input::Started(names(&[]))), [Effect::Assemble]);
    }

    #[test]
    fn a_cancelled_scan_keeps_its_slot_until_its_scanners_have_stopped() {
        let mut state = ScanState::default();
        state.step(Input::Begun);
        state.step(Input::Started(names(&["a"])));
        assert_eq!(
            state.step(Input::Stop(StopReason::User)),
            [Effect::StopScanners, Effect::Store(End::Cancelled)]
        );
        assert_eq!(state.step(Input::Stored), [Effect::Publish(End::Cancelled)]);
        assert_eq!(state.step(Input::ScannerDone("a".into())), [Effect::Leave]);
    }

    #[test]
    fn a_cancel_before_the_row_runs_waits_for_it() {
        let mut state = ScanState::default();
        assert_eq!(state.step(Input::Stop(StopReason::User)), []);
        assert_eq!(
            state.step(Input::Begun),
            [Effect::StopScanners, Effect::Store(End::Cancelled)]
        );
    }

    #[test]
    fn a_scanner_that_does_not_stop_is_left_behind() {
        let mut state = ScanState::default();
        state.step(Input::Begun);
        state.step(Input::Started(names(&["a", "b"])));
        state.step(Input::ScannerDone("a".into()));
        assert_eq!(state.step(Input::BudgetElapsed), [Effect::StopScanners]);
        assert_eq!(state.step(Input::PatienceElapsed), [Effect::Assemble]);
        assert_eq!(state.busy(), &names(&["b"]));
        assert!(state.is_over_budget());
    }

    #[test]
    fn results_that_cannot_be_stored_become_a_failure() {
        let mut state = ScanState::default();
        state.step(Input::Begun);
        state.step(Input::Started(names(&[])));
        state.step(Input::Assembled);
        let failed = End::Failed("disk full".into());
        assert_eq!(
            state.step(Input::NotStored("disk full".into())),
            [Effect::Store(failed.clone())]
        );
        let again = state.step(Input::NotStored("disk full".into()));
        assert_eq!(again, [Effect::StoreAgain(failed.clone())]);
        assert_eq!(
            state.step(Input::Stored),
            [Effect::Publish(failed), Effect::Leave]
        );
    }

    fn any_input() -> impl Strategy<Value = Input> {
        prop_oneof![
            Just(Input::Begun),
            Just(Input::NotPending),
            Just(Input::Started(names(&["a", "b"]))),
            Just(Input::Started(names(&[]))),
            Just(Input::ScannerDone("a".into())),
            Just(Input::ScannerDone("b".into())),
            Just(Input::BudgetElapsed),
            Just(Input::PatienceElapsed),
            Just(Input::Stop(StopReason::User)),
            Just(Input::Stop(StopReason::Shutdown)),
            Just(Input::Assembled),
            Just(Input::Stored),
            Just(Input::NotStored("full".into())),
            Just(Input::Broken("bug".into())),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_order_one_end_is_told_and_it_is_the_last_one_stored(
            inputs in prop::collection::vec(any_input(), 0..40)
        ) {
            let mut state = ScanState::default();
            let effects: Vec<_> = inputs.into_iter().flat_map(|input| state.step(input)).collect();
            let told: Vec<_> = effects
                .iter()
                .filter_map(|effect| match effect { Effect::Publish(end) => Some(end), _ => None })
                .collect();
            let stored: Vec<_> = effects
                .iter()
                .filter_map(|effect| match effect { Effect::Store(end) | Effect::StoreAgain(end) => Some(end), _ => None })
                .collect();
            prop_assert!(told.len() <= 1);
            prop_assert!(effects.iter().filter(|effect| **effect == Effect::Leave).count() <= 1);
            prop_assert!(effects.iter().filter(|effect| **effect == Effect::StopScanners).count() <= 1);
            if let Some(end) = told.first() {
                prop_assert_eq!(stored.last(), Some(end));
            }
        }
    }
}
