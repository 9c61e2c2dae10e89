//! The active controller: one queue, one decision after another, one entry in flight.
//!
//! While this node leads the quorum: take all that is queued, decide each command against a working copy of the image, have
//! the records committed as one entry, answer. While one entry is being written the next commands gather, which is what
//! groups them. When a proposal fails, or leadership is lost, the working copy is dropped and every waiting command gets
//! NOT_CONTROLLER; nothing is decided again before a barrier, since what failed may still have been committed.
//!
//! Invariant: after a commit the published image is the working copy.

use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::env::Env;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::quorum::{Leadership, PROPOSAL_BYTES_MAX, ProposeError, Quorum};
use crate::schema::metadata::MetadataRecord;
use crate::types::{ErrorCode, LeaderEpoch, Ms, NodeId, Rng};

use super::command::{ApiError, Command, Reply};
use super::decide::{self, Facts, Rules, elr};
use super::gone;
use super::liveness::Liveness;

/// Commands that may wait; more are refused at once.
const QUEUE_MAX: usize = 4096;
/// Commands that one entry takes in at most.
const COMMANDS_PER_ENTRY_MAX: usize = 1024;
/// Records that one entry takes in at most, unless a single command has more.
const RECORDS_PER_ENTRY_MAX: usize = 10_000;
/// Bytes that a record takes at most in an entry that gathers several commands, as a rule; keeps entries far below
/// [`PROPOSAL_BYTES_MAX`].
const _: () = assert!(RECORDS_PER_ENTRY_MAX * 1024 <= PROPOSAL_BYTES_MAX);
/// A new controller waits for the first word of a broker for this part of a session at least.
const FIRST_SESSION: u32 = 3;
/// Brokers that a new controller asks at once whether they are there; the sessions of others end by themselves.
const PROBES_MAX: usize = 256;
/// After a barrier that failed for reasons that pass.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ControllerError {
    /// Another node is the active controller, as far as this one knows, or none is. For NOT_CONTROLLER. The command may
    /// have been done all the same if it was being written when leadership was lost.
    #[error("this node is not the active controller")]
    NotController(Option<NodeId>),
    /// No answer came in time. It may still be done.
    #[error("the controller did not answer in time")]
    TimedOut,
    /// Too many commands wait.
    #[error("too many commands are waiting for the controller")]
    Busy,
    /// The command was refused.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl ControllerError {
    /// The error as the protocol answers it.
    pub fn to_api_error(&self) -> ApiError {
        match self {
            ControllerError::NotController(_) => ErrorCode::NotController.into(),
            ControllerError::TimedOut | ControllerError::Busy => ErrorCode::RequestTimedOut.into(),
            ControllerError::Refused(error) => error.clone(),
        }
    }
}

type Answer = oneshot::Sender<Result<Reply, ControllerError>>;

struct Waiting {
    command: Command,
    answer: Answer,
}

/// The way to the controller of this node. Clones share it.
#[derive(Clone)]
pub struct ControllerHandle {
    queue: mpsc::Sender<Waiting>,
}

impl ControllerHandle {
    /// Waits until the controller has ended. While the node lives that is a bug: without it the cluster would have a leader
    /// of its quorum that decides nothing.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Has a command done. Returns when it is committed and applied here, so the image already shows it.
    ///
    /// # Errors
    ///
    /// See [`ControllerError`]. After `deadline` the command may still be done, but nobody hears of it.
    pub async fn submit(&self, command: Command, deadline: Instant) -> Result<Reply, ControllerError> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Waiting { command, answer }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(ControllerError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(ControllerError::NotController(None)),
        }
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_the_controller_ended)) => Err(ControllerError::NotController(None)),
            Err(_elapsed) => Err(ControllerError::TimedOut),
        }
    }
}

/// What the controller goes by.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// What decisions go by.
    pub rules: Rules,
    /// `broker.session.timeout.ms`.
    pub session_timeout_ms: Ms,
    /// The first records of a new cluster, from `bootstrap.checkpoint`: feature levels, credentials.
    pub bootstrap: Vec<MetadataRecord>,
}

/// Starts the controller of a node that takes part in the quorum.
pub fn start(env: &Env, quorum: Quorum, config: ControllerConfig) -> ControllerHandle {
    let (queue, commands) = mpsc::channel(QUEUE_MAX);
    let controller = Controller {
        env: env.clone(),
        queue: queue.downgrade(),
        clock: env.clock.clone(),
        started: Instant::now(),
        rng: env.seeds.rng(),
        leadership: quorum.leadership(),
        quorum,
        config,
        commands,
    };
    env.tasks.spawn("controller", controller.run());
    ControllerHandle { queue }
}

struct Controller {
    env: Env,
    /// Its own queue, which does not keep it alive.
    queue: mpsc::WeakSender<Waiting>,
    clock: std::sync::Arc<dyn crate::env::Clock>,
    started: Instant,
    rng: Rng,
    quorum: Quorum,
    leadership: tokio::sync::watch::Receiver<Leadership>,
    config: ControllerConfig,
    commands: mpsc::Receiver<Waiting>,
}

/// What holds while this node leads: the image as it will be, and who is alive.
struct Active {
    epoch: LeaderEpoch,
    image: MetadataImage,
    live: Liveness,
    rounds: [Round; 2],
}

/// Something that the controller does by itself from time to time.
struct Round {
    what: Command,
    every: Duration,
    /// `None` if never.
    next: Option<Instant>,
}

impl Round {
    fn new(what: Command, every: Option<Duration>) -> Round {
        let next = every.map(|every| Instant::now() + every);
        Round { what, every: every.unwrap_or_default(), next }
    }
}

impl Controller {
    async fn run(mut self) {
        loop {
            let leads = {
                let now = self.leadership.borrow_and_update();
                now.is_me.then_some(now.epoch)
            };
            let ended = match leads {
                Some(epoch) => match self.activate(epoch).await {
                    Ok(active) => self.lead(active).await,
                    Err(ProposeError::Stopped(why)) => Err(why),
                    Err(other) => {
                        tracing::info!(epoch, "the controller does not become active: {other}");
                        tokio::time::sleep(RETRY_AFTER).await;
                        Ok(())
                    }
                },
                None => self.refuse_until_leading().await,
            };
            if let Err(why) = ended {
                tracing::info!("the controller ends: {why}");
                return;
            }
        }
    }

    /// Answers every command with NOT_CONTROLLER until leadership changes.
    async fn refuse_until_leading(&mut self) -> Result<(), String> {
        let leader = self.leadership.borrow().leader;
        tokio::select! {
            biased;
            changed = self.leadership.changed() => changed.map_err(|_| "the quorum stopped".to_owned()),
            command = self.commands.recv() => match command {
                Some(waiting) => {
                    answer(waiting.answer, Err(ControllerError::NotController(leader)));
                    Ok(())
                }
                None => Err("nobody can ask it any more".to_owned()),
            },
        }
    }

    /// Makes sure that this node leads and has applied all that was committed, and writes the first records of a new
    /// cluster.
    async fn activate(&mut self, epoch: LeaderEpoch) -> Result<Active, ProposeError> {
        self.quorum.barrier().await?;
        let mut image = MetadataImage::clone(&self.quorum.image());
        let is_new = image.features().iter().next().is_none() && image.brokers().is_empty();
        if is_new && !self.config.bootstrap.is_empty() {
            let mut records = self.config.bootstrap.clone();
            records.extend(elr::first_record(&records, &self.config.rules.layers));
            tracing::info!(records = records.len(), "writing the first records of a new cluster");
            self.quorum.propose(&records).await?;
            image = MetadataImage::clone(&self.quorum.image());
        }
        let mut live = Liveness::new(self.config.session_timeout_ms);
        let until = self.first_sessions_end(epoch);
        for broker in image.brokers().unfenced() {
            live.expect(broker.id, broker.epoch, until, broker.id == self.config.rules.node_id);
        }
        self.look_after_brokers(&image);
        tracing::info!(epoch, offset = image.offset(), "the controller is active");
        Ok(Active { epoch, image, live, rounds: self.rounds() })
    }

    fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.config.session_timeout_ms.max(0).unsigned_abs())
    }

    /// Until when a broker is believed in that this controller has not heard yet: until no lease can be left that an earlier
    /// one has given, and for long enough to be heard.
    fn first_sessions_end(&self, epoch: LeaderEpoch) -> Ms {
        let session = self.session_timeout();
        let leases_end = self.quorum.last_word_before(epoch) + session;
        let until = leases_end.max(Instant::now() + session / FIRST_SESSION);
        until.saturating_duration_since(self.started).as_millis() as Ms + 1
    }

    /// Asks every other broker's listener whether its process is there: whoever ended with the controller before this one
    /// has ended unheard.
    fn look_after_brokers(&self, image: &MetadataImage) {
        let me = self.config.rules.node_id;
        for broker in image.brokers().unfenced().filter(|broker| broker.id != me).take(PROBES_MAX) {
            let (id, epoch, queue) = (broker.id, broker.epoch, self.queue.clone());
            let Some(gone) = gone::suspect(&self.env.net, image, id, epoch) else { continue };
            self.env.tasks.spawn("broker probe", async move {
                if gone.await
                    && let Some(queue) = queue.upgrade()
                {
                    tracing::info!("broker {id} is gone");
                    let command = Command::FenceBroker { broker: id, epoch };
                    // Where there is no room its session ends all the same.
                    let _ = queue.try_send(Waiting { command, answer: oneshot::channel().0 });
                }
            });
        }
    }

    fn rounds(&self) -> [Round; 2] {
        let layers = &self.config.rules.layers;
        let number = |key: &str| layers.number(key).max(1).unsigned_abs();
        let balance = Duration::from_secs(number("leader.imbalance.check.interval.seconds"));
        let unclean = Duration::from_millis(number("unclean.leader.election.interval.ms"));
        let balances = layers.boolean("auto.leader.rebalance.enable");
        [
            Round::new(Command::BalanceLeaders, balances.then_some(balance)),
            Round::new(Command::ElectUncleanLeaders, Some(unclean)),
        ]
    }

    fn monotonic_ms(&self) -> Ms {
        self.started.elapsed().as_millis() as Ms
    }

    /// Serves commands until this node does not lead in this epoch any more, or a proposal fails.
    async fn lead(&mut self, mut active: Active) -> Result<(), String> {
        loop {
            let next_deadline = active.live.next_deadline();
            let next_deadline =
                next_deadline.map(|at| self.started + Duration::from_millis(at.max(0).unsigned_abs()));
            let session_ends = at_or_never(next_deadline);
            let next_round = at_or_never(active.rounds.iter().filter_map(|round| round.next).min());
            let mut round_is_due = false;
            let mut batch: Vec<Waiting> = Vec::new();
            tokio::select! {
                biased;
                changed = self.leadership.changed() => {
                    changed.map_err(|_| "the quorum stopped".to_owned())?;
                    let now = self.leadership.borrow_and_update();
                    if !now.is_me || now.epoch != active.epoch {
                        return Ok(());
                    }
                    continue;
                }
                taken = self.commands.recv_many(&mut batch, COMMANDS_PER_ENTRY_MAX) => {
                    if taken == 0 {
                        return Err("nobody can ask it any more".to_owned());
                    }
                }
                () = session_ends => {
                    let expired = active.live.expired(self.monotonic_ms());
                    batch.extend(expired.into_iter().map(|(broker, epoch)| {
                        tracing::info!(broker, epoch, "fencing a broker that was not heard in its session");
                        active.live.forget(broker);
                        Waiting { command: Command::FenceBroker { broker, epoch }, answer: oneshot::channel().0 }
                    }));
                }
                () = next_round => round_is_due = true,
            }
            let done = match round_is_due {
                true => self.hold_rounds(&mut active).await,
                false => self.serve(&mut active, batch).await,
            };
            if !done {
                return Ok(());
            }
        }
    }

    /// Does what is due. False as [`Controller::serve`].
    async fn hold_rounds(&mut self, active: &mut Active) -> bool {
        let now = Instant::now();
        for at in 0..active.rounds.len() {
            let round = &active.rounds[at];
            if round.next.is_none_or(|next| next > now) {
                continue;
            }
            let (answer, mut answered) = oneshot::channel();
            let waiting = Waiting { command: round.what.clone(), answer };
            if !self.serve(active, vec![waiting]).await {
                return false;
            }
            // The rest follows at once, after what others have asked for meanwhile.
            let more = matches!(answered.try_recv(), Ok(Ok(Reply::Elections { more: true })));
            let round = &mut active.rounds[at];
            round.next = Some(if more { now } else { now + round.every });
        }
        true
    }

    /// Decides commands and has what comes of it committed, in as few entries as their size allows. False if a proposal
    /// failed, after which nothing is known.
    async fn serve(&mut self, active: &mut Active, batch: Vec<Waiting>) -> bool {
        let mut pending: Vec<MetadataRecord> = Vec::new();
        let mut answers: Vec<(Answer, Result<Reply, ControllerError>)> = Vec::new();
        let mut commands = batch.into_iter();
        while let Some(Waiting { command, answer: waiting }) = commands.next() {
            let result = self.decide_one(active, &command, &mut pending);
            answers.push((waiting, result));
            if pending.len() >= RECORDS_PER_ENTRY_MAX
                && !self.commit(active, &mut pending, &mut answers).await
            {
                for waiting in commands {
                    answer(waiting.answer, Err(ControllerError::NotController(None)));
                }
                return false;
            }
        }
        self.commit(active, &mut pending, &mut answers).await
    }

    /// Decides one command and applies its records to the working copy.
    fn decide_one(
        &mut self,
        active: &mut Active,
        command: &Command,
        pending: &mut Vec<MetadataRecord>,
    ) -> Result<Reply, ControllerError> {
        let facts = Facts {
            image: &active.image,
            live: &active.live,
            now: self.clock.now(),
            monotonic_ms: self.started.elapsed().as_millis() as Ms,
            next_offset: active.image.offset() + 1,
            rules: &self.config.rules,
        };
        let decision = decide::decide(&facts, command, &mut self.rng)?;
        // All of a decision's records or none of them, so that a bug in one leaves the working copy whole.
        let mut after = active.image.clone();
        let mut delta = MetadataDelta::default();
        for record in &decision.records {
            if let Err(e) = after.apply(record, &mut delta) {
                tracing::error!(?command, "a decision that does not apply: {e}");
                return Err(ApiError::from(ErrorCode::UnknownServerError).into());
            }
        }
        after.set_position(after.offset() + decision.records.len() as i64, active.epoch);
        active.image = after;
        pending.extend(decision.records);
        let (now, me) = (self.monotonic_ms(), self.config.rules.node_id);
        active.live.note(command, &decision.reply, &active.image, now, me);
        Ok(decision.reply)
    }

    /// Has the pending records committed and answers. False if that failed.
    async fn commit(
        &mut self,
        active: &mut Active,
        pending: &mut Vec<MetadataRecord>,
        answers: &mut Vec<(Answer, Result<Reply, ControllerError>)>,
    ) -> bool {
        let records = std::mem::take(pending);
        let failed = if records.is_empty() {
            // Nothing is written, so nothing else shows whether another has been elected.
            (!self.quorum.leads_for_certain()).then_some(ProposeError::NotLeader(None))
        } else {
            match self.quorum.propose(&records).await {
                Ok(offset) if offset == active.image.offset() => {
                    self.check_working_copy(active);
                    None
                }
                Ok(offset) => {
                    // Something else was written between: a change of the voters. The records are committed, but offsets
                    // that were promised (epochs of brokers) are not those of the log.
                    tracing::debug!(
                        offset,
                        expected = active.image.offset(),
                        "records lie elsewhere than expected"
                    );
                    active.image = MetadataImage::clone(&self.quorum.image());
                    None
                }
                Err(e) => Some(e),
            }
        };
        let leader = match &failed {
            Some(ProposeError::NotLeader(leader)) => *leader,
            _ => None,
        };
        for (waiting, result) in answers.drain(..) {
            let mut result =
                if failed.is_some() { Err(ControllerError::NotController(leader)) } else { result };
            if let Ok(Reply::BrokerHeartbeat { lease_ms, .. }) = &mut result {
                // No longer than nobody else can be elected who would wait for less.
                *lease_ms = self.quorum.word_holds(self.session_timeout()).as_millis() as Ms;
            }
            answer(waiting, result);
        }
        match failed {
            None => true,
            Some(why) => {
                tracing::info!(epoch = active.epoch, "the controller is not active any more: {why}");
                false
            }
        }
    }

    /// Takes the published image for the working copy, after making sure that they are the same as far as is cheap to see.
    fn check_working_copy(&self, active: &mut Active) {
        let published = self.quorum.image();
        let counts = |image: &MetadataImage| {
            (image.topics().len(), image.topics().partition_count(), image.brokers().len())
        };
        // A change of the voters may lie behind what was decided already; it changes nothing but the offset.
        assert!(published.offset() >= active.image.offset(), "what was committed must have been applied");
        assert_eq!(
            counts(&published),
            counts(&active.image),
            "what was decided on and what was applied must be the same image"
        );
        active.image = MetadataImage::clone(&published);
    }
}

/// Waits until `at`; for ever without it.
async fn at_or_never(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Answers, if anybody still waits.
fn answer(waiting: Answer, result: Result<Reply, ControllerError>) {
    if waiting.send(result).is_err() {
        tracing::trace!("the one who asked is gone");
    }
}

#[cfg(test)]
#[path = "service_test.rs"]
mod tests;
