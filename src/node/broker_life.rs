//! A broker's life in the cluster: registered, heard of, let go (KIP-631).
//!
//! One task sends heartbeats. What was answered to one gives the broker its lease from the moment the heartbeat was
//! *sent*; the controller counts the session from the moment it *arrived*. So the lease ends before the controller lets
//! another lead. The answer may make the lease shorter: a controller gives none that the next one would not wait for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::config::BrokerConfig;
use crate::controller::command::{BrokerHeartbeat, BrokerRegistration, Command, Reply};
use crate::controller::{ActiveController, ControllerError};
use crate::env::Tasks;
use crate::quorum::{Leadership, Publisher};
use crate::replica::ReplicaManager;
use crate::types::{BrokerEpoch, ErrorCode, NodeId};

/// How long a broker waits before it asks again for something that it was not given.
const ASK_AGAIN: Duration = Duration::from_millis(10);
/// The longest such wait.
const ASK_AGAIN_MAX: Duration = Duration::from_millis(200);
/// How long one attempt to register may take.
const REGISTRATION_ATTEMPT: Duration = Duration::from_secs(5);

/// What the broker wants to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wish {
    /// Registered, while it recovers its logs.
    Fenced,
    /// One that leads.
    Active,
    /// Gone.
    Away,
}

/// What the controller last said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Word {
    is_fenced: bool,
    may_stop: bool,
}

impl Word {
    fn grants(self, wish: Wish) -> bool {
        match wish {
            Wish::Fenced => true,
            Wish::Active => !self.is_fenced,
            Wish::Away => self.may_stop,
        }
    }
}

/// A broker that is registered.
pub(super) struct BrokerLife {
    /// The epoch of its registration.
    pub(super) epoch: BrokerEpoch,
    wish: watch::Sender<Wish>,
    word: watch::Receiver<Word>,
}

/// What a broker's life goes by.
pub(super) struct Circumstances {
    pub(super) controller: ActiveController,
    pub(super) publisher: Publisher,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) replicas: Arc<ReplicaManager>,
    pub(super) tasks: Tasks,
}

impl BrokerLife {
    /// Registers, trying until `initial.broker.registration.timeout.ms` is over, waits until this node's image has the
    /// registration, and sends heartbeats from then on. The broker is fenced until [`activate`](Self::activate).
    pub(super) async fn begin(
        config: &BrokerConfig,
        around: Circumstances,
        registration: BrokerRegistration,
    ) -> Result<BrokerLife, ControllerError> {
        let patience = Duration::from_millis(config.initial_broker_registration_timeout_ms.max(0) as u64);
        let deadline = Instant::now() + patience;
        let epoch = register(&around.controller, &registration, deadline).await?;
        if !config.is_alone() {
            // It leads on nobody's word yet.
            around.replicas.lease().extend(Instant::now());
        }
        let known = timeout_at(deadline, until_registered(&around.publisher, config.node_id, epoch)).await;
        known.map_err(|_| ControllerError::TimedOut)?;
        let (wish, wishes) = watch::channel(Wish::Fenced);
        let (says, word) = watch::channel(Word { is_fenced: true, may_stop: false });
        let tasks = around.tasks.clone();
        let heart = Heart {
            id: config.node_id,
            epoch,
            lease: Duration::from_millis(config.broker_lease_ms.unsigned_abs()),
            interval: interval(config),
            is_alone: config.is_alone(),
            around,
            wishes,
            says,
        };
        tasks.spawn("broker heartbeats", heart.beat());
        Ok(BrokerLife { epoch, wish, word })
    }

    /// Asks to lead, and waits until the broker may.
    pub(super) async fn activate(&mut self) {
        self.come_true(Wish::Active).await;
    }

    /// Asks to be let go, and waits until the broker leads nothing that another could lead, or `deadline` has come.
    pub(super) async fn leave(&mut self, deadline: Instant) {
        if timeout_at(deadline, self.come_true(Wish::Away)).await.is_err() {
            tracing::warn!("the controller did not let the broker go in time");
        }
    }

    async fn come_true(&mut self, wish: Wish) {
        self.wish.send_replace(wish);
        // Without the heartbeats' task the node is going down, and nobody waits any more.
        let _ = self.word.wait_for(|word| word.grants(wish)).await;
    }
}

/// Waits until the image has the registration, and so all that was decided before it.
async fn until_registered(publisher: &Publisher, id: NodeId, epoch: BrokerEpoch) {
    let mut offset = epoch;
    loop {
        let image = publisher.wait_for(offset).await;
        if image.brokers().get(id).is_some_and(|broker| broker.epoch >= epoch) {
            return;
        }
        // Something that is no record lies before it in the log.
        offset = image.offset() + 1;
    }
}

/// Four heartbeats for each lease, unless the configuration wants more.
fn interval(config: &BrokerConfig) -> Duration {
    let of_lease = config.broker_lease_ms / 4;
    Duration::from_millis(config.broker_heartbeat_interval_ms.clamp(1, of_lease.max(1)).unsigned_abs())
}

async fn register(
    controller: &ActiveController,
    registration: &BrokerRegistration,
    deadline: Instant,
) -> Result<BrokerEpoch, ControllerError> {
    let mut pause = ASK_AGAIN;
    loop {
        let attempt = deadline.min(Instant::now() + REGISTRATION_ATTEMPT);
        let failed = match controller.submit(Command::RegisterBroker(registration.clone()), attempt).await {
            Ok(Reply::RegisterBroker(epoch)) => return Ok(epoch),
            Ok(other) => unreachable!("a registration is answered by its epoch, not {other:?}"),
            Err(e) => e,
        };
        // An earlier incarnation is forgotten when its session ends; a controller comes when a majority of them is up.
        let passes = match &failed {
            ControllerError::Refused(e) => e.code == ErrorCode::DuplicateBrokerRegistration,
            ControllerError::NotController(_) | ControllerError::TimedOut | ControllerError::Busy => true,
        };
        if !passes || Instant::now() + pause >= deadline {
            return Err(failed);
        }
        tracing::debug!("the broker is not registered yet: {failed}");
        sleep(pause).await;
        pause = (pause * 2).min(ASK_AGAIN_MAX);
    }
}

/// Sends the heartbeats.
struct Heart {
    id: NodeId,
    epoch: BrokerEpoch,
    lease: Duration,
    interval: Duration,
    /// This node is the whole quorum: nobody else could let another lead, so there is nothing to tell.
    is_alone: bool,
    around: Circumstances,
    wishes: watch::Receiver<Wish>,
    says: watch::Sender<Word>,
}

impl Heart {
    async fn beat(mut self) {
        let mut pause = ASK_AGAIN;
        let mut answered = true;
        loop {
            let wish = *self.wishes.borrow_and_update();
            let sent = Instant::now();
            self.around.leadership.mark_unchanged();
            let mut leadership = self.around.leadership.clone();
            let told = tokio::select! {
                biased;
                told = self.tell(wish, sent) => told,
                // Another leads: it is told at once, and nobody waits for the one before.
                Ok(()) = leadership.changed() => continue,
            };
            let granted = match told {
                Ok(granted) => {
                    if !answered {
                        tracing::info!("the active controller hears this broker again");
                    }
                    answered = true;
                    granted
                }
                Err(e) => {
                    if answered {
                        tracing::warn!("the active controller does not hear this broker: {e}");
                    }
                    answered = false;
                    false
                }
            };
            pause = if granted { ASK_AGAIN } else { (pause * 2).min(ASK_AGAIN_MAX) };
            let next = if granted { sent + self.interval } else { Instant::now() + pause };
            tokio::select! {
                biased;
                changed = self.wishes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Ok(()) = self.around.leadership.changed() => {}
                () = sleep_until(next), if !(self.is_alone && granted) => {}
            }
        }
    }

    /// Sends one heartbeat. -> whether the wish is granted
    async fn tell(&self, wish: Wish, sent: Instant) -> Result<bool, ControllerError> {
        let beat = BrokerHeartbeat {
            id: self.id,
            epoch: self.epoch,
            current_offset: self.around.publisher.image().offset(),
            want_fence: wish == Wish::Fenced,
            want_shut_down: wish == Wish::Away,
        };
        let reply = self.around.controller.submit(Command::BrokerHeartbeat(beat), sent + self.lease).await?;
        let Reply::BrokerHeartbeat { is_fenced, should_shut_down, lease_ms } = reply else {
            unreachable!("a heartbeat is answered by the broker's state, not {reply:?}");
        };
        if !self.is_alone {
            let lease = self.around.replicas.lease();
            let said = u64::try_from(lease_ms).map_or(self.lease, Duration::from_millis);
            if is_fenced { lease.end() } else { lease.extend(sent + self.lease.min(said)) }
        }
        let word = Word { is_fenced, may_stop: should_shut_down };
        self.says.send_replace(word);
        Ok(word.grants(wish))
    }
}
