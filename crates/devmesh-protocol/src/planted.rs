//! Deliberate bugs, by which the tests themselves are tested: each is one broken promise at the
//! one place that keeps it, and some test must notice.
//!
//! **Architecture invariant:** what ships has none of them. Without the feature `planted` the
//! question is answered `false` when the program is built; only test packages turn it on, and
//! `cargo xtask tidy` refuses it anywhere else.

#[cfg(feature = "planted")]
use std::cell::Cell;

/// Defines the list once: a variant, and what is wrong where it is planted.
macro_rules! faults {
    ($($name:ident: $what:literal,)*) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $what] $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Fault::$name => stringify!($name),)* }
            }

            /// What is wrong where it is planted.
            pub fn what(self) -> &'static str {
                match self { $(Fault::$name => $what,)* }
            }
        }
    };
}

faults! {
    ModesIgnored: "writers on one path are taken for compatible",
    FoldersIgnored: "a folder and what is in it are taken for different places",
    TokenNotCompared: "an attempt's token is not compared with the live one",
    AttemptNotCompared: "neither the attempt's number nor its token is compared",
    OwnerNotCompared: "anybody may give a lease back",
    SessionNotCompared: "an agent acts under a session that is not its live one",
    SessionReborn: "a session that has ended may join again",
    ExpiryWithoutGrace: "silence ends leases without the grace",
    ExpiryEarly: "a deadline counts as come a moment early",
    TermKeepsDeadlines: "a new term gives nobody the time back in which nobody led",
    GrantOutOfOrder: "a waiter goes past those before it",
    NewcomerOvertakes: "a request that has just come goes past those who wait",
    WakeUpLost: "the end of a lease does not wake who waits for it",
    ForgottenCommandIds: "what became of a command is not remembered",
    BodyNotCompared: "another command under a known id gets the first one's answer",
    CircleAllowed: "a wait that closes a circle is let in",
    PartialGrant: "of several paths those that are free are granted",
    TokenBeforeWait: "a lease that was waited for gets its place in the queue as its token",
    ConversionUnchecked: "a stronger mode is given whoever else holds the path",
    WaiterOutlivesSession: "a session ends and its waits stay",
    LeaseOutlivesSession: "a session ends and its leases stay",
    LeaseOutlivesAttempt: "an attempt ends and its leases stay",
    AwardWithoutAuction: "an award needs no open auction",
    StartUnbounded: "an award that nobody takes up stays for ever",
    EvidenceUnchecked: "work lands and completes without proof",
    TwoTurns: "a turn of the merge queue begins while another runs",
    LostSessionKeepsTask: "a session is lost and its attempt stays",
    TriesUncounted: "a try that failed is not counted",
    CancelKeepsAttempt: "a cancelled task keeps its running attempt",
    DependencyIgnored: "a task begins before what it depends on is done",
    ReservationKept: "an attempt ends and what it reserved stays reserved",
    CompletedTwice: "a task that is completed can be completed again",
    NoEpochCheck: "a message of a term that is over counts",
    ChainNotCompared: "a message that does not follow the one before it counts",
    GapAccepted: "a missing record is not noticed",
    ReplyBeforeAck: "an answer leaves before its record is acknowledged",
    AppendWithoutExpected: "an append does not say which message it follows",
    TermGoesOn: "a term goes on after an append that failed",
    BeatWithoutProof: "a heartbeat is answered by who may not lead any more",
}

/// Whether this bug is planted on this thread.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is(_fault: Fault) -> bool {
    false
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Whether this bug is planted on this thread.
#[cfg(feature = "planted")]
#[inline]
pub fn is(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Plants a bug on this thread, or none, until what is returned is dropped.
#[cfg(feature = "planted")]
pub fn plant(fault: impl Into<Option<Fault>>) -> Planted {
    Planted { before: PLANTED.replace(fault.into()) }
}

/// Takes the bug out again when dropped.
#[cfg(feature = "planted")]
#[derive(Debug)]
#[must_use]
pub struct Planted {
    before: Option<Fault>,
}

#[cfg(feature = "planted")]
impl Drop for Planted {
    fn drop(&mut self) {
        PLANTED.set(self.before);
    }
}
