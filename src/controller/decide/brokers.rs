//! Brokers and controllers: registered, fenced, let go.

use std::collections::BTreeSet;

use crate::metadata::features::METADATA_VERSION;
use crate::metadata::topics::directory;
use crate::metadata::{Broker, Endpoint, FeatureRange, NO_LEADER, Partition};
use crate::schema::metadata::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ControllerEndpoint, ControllerFeature,
    MetadataRecord, PartitionChangeRecord, RegisterBrokerRecord, RegisterControllerRecord,
    UnregisterBrokerRecord, UnregisterControllerRecord,
};
use crate::types::{BrokerEpoch, ErrorCode, NodeId};

use super::super::command::{ApiError, BrokerHeartbeat, BrokerRegistration, ControllerRegistration, Reply};
use super::change::{Change, Electorate, LEADER_STAYS};
use super::{Decision, Facts};

pub(super) fn register(facts: &Facts<'_>, wanted: &BrokerRegistration) -> Result<Decision, ApiError> {
    if wanted.cluster_id != facts.rules.cluster_id {
        let message = format!(
            "Expected cluster ID {}, but got cluster ID {}",
            facts.rules.cluster_id, wanted.cluster_id
        );
        return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
    }
    let existing = facts.image.brokers().get(wanted.id);
    let same_incarnation = existing.filter(|b| b.incarnation == wanted.incarnation);
    // One that was about to go and comes again need not wait for its session's end, and one that is fenced has none.
    if let Some(existing) = existing.filter(|old| !old.fenced && !old.in_controlled_shutdown)
        && same_incarnation.is_none()
        && !has_its_directories(existing, wanted)
        && facts.live.has_session(wanted.id, facts.monotonic_ms)
    {
        return Err(ApiError::new(
            ErrorCode::DuplicateBrokerRegistration,
            "Another broker is registered with that broker id. If the broker was recently restarted this should \
             self-resolve once the heartbeat manager expires the broker's session.",
        ));
    }
    check_directories(facts, wanted)?;
    check_features(facts, wanted)?;
    // A new incarnation is fenced by its registration: what it led before, it has lost. Unless it was shut down cleanly
    // since, its disk may have lost something too.
    let mut records = match existing {
        Some(old) if same_incarnation.is_none() && old.epoch == wanted.previous_epoch => gone(facts, old.id),
        Some(old) if same_incarnation.is_none() => gone_untrusted(facts, old.id),
        Some(_) | None => Vec::new(),
    };
    let epoch = match same_incarnation {
        Some(same) => same.epoch,
        None => facts.next_offset + records.len() as i64,
    };
    let endpoint = |e: &Endpoint| BrokerEndpoint {
        name: e.listener.to_string(),
        host: e.host.to_string(),
        port: e.port,
        security_protocol: e.security_protocol,
    };
    let feature = |f: &FeatureRange| BrokerFeature {
        name: f.name.to_string(),
        min_supported_version: f.min,
        max_supported_version: f.max,
    };
    let record = RegisterBrokerRecord {
        broker_id: wanted.id,
        is_migrating_zk_broker: false,
        incarnation_id: wanted.incarnation,
        broker_epoch: epoch,
        end_points: wanted.endpoints.iter().map(endpoint).collect(),
        features: wanted.features.iter().map(feature).collect(),
        rack: wanted.rack.clone(),
        fenced: same_incarnation.is_none_or(|same| same.fenced),
        in_controlled_shutdown: same_incarnation.is_some_and(|same| same.in_controlled_shutdown),
        log_dirs: wanted.log_dirs.clone(),
        cordoned_log_dirs: None,
    };
    records.push(record.into());
    Ok(Decision { records, reply: Reply::RegisterBroker(epoch) })
}

/// True if a broker comes with a directory of its earlier incarnation. It holds the lock of that directory, so the earlier
/// process has ended, and nobody needs to wait for its session to end.
fn has_its_directories(earlier: &Broker, wanted: &BrokerRegistration) -> bool {
    wanted.log_dirs.iter().any(|dir| earlier.log_dirs.contains(dir))
}

fn check_directories(facts: &Facts<'_>, wanted: &BrokerRegistration) -> Result<(), ApiError> {
    let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidRegistration, message));
    if wanted.log_dirs.is_empty() {
        return invalid("No directories specified in request".to_owned());
    }
    // The first hundred ids have meanings of their own.
    if wanted.log_dirs.iter().any(|id| id.as_u128() < 100 || *id == directory::LOST) {
        return invalid("Reserved directory ID in request".to_owned());
    }
    let distinct: BTreeSet<_> = wanted.log_dirs.iter().collect();
    if distinct.len() != wanted.log_dirs.len() {
        return invalid("Duplicate directory ID in request".to_owned());
    }
    for other in facts.image.brokers().iter().filter(|b| b.id != wanted.id) {
        if let Some(shared) = other.log_dirs.iter().find(|id| distinct.contains(id)) {
            let id = crate::types::uuid_to_base64(*shared);
            return invalid(format!("Broker {} is already registered with directory {id}", other.id));
        }
    }
    Ok(())
}

/// A broker must be able to do every feature at the level that is in force.
fn check_features(facts: &Facts<'_>, wanted: &BrokerRegistration) -> Result<(), ApiError> {
    let missing = |name: &str| !wanted.features.iter().any(|f| &*f.name == name);
    let asked = wanted.features.iter().map(|f| (&*f.name, f.min, f.max));
    let unasked = facts.image.features().iter().filter(|(name, _)| missing(name));
    let unasked =
        unasked.map(|(name, _)| if &**name == METADATA_VERSION { (&**name, 1, 1) } else { (&**name, 0, 0) });
    for (name, min, max) in asked.chain(unasked) {
        let finalized = match facts.image.features().level(name) {
            0 if name == METADATA_VERSION => 1,
            level => level,
        };
        // Before the first record of all there is no level to fall short of.
        let is_empty_cluster = facts.image.features().iter().next().is_none();
        if !is_empty_cluster && !(min..=max).contains(&finalized) {
            return Err(ApiError::new(
                ErrorCode::UnsupportedVersion,
                format!(
                    "Unable to register because the broker does not support finalized version {finalized} of {name}. \
                     The broker wants a version between {min} and {max}, inclusive."
                ),
            ));
        }
    }
    Ok(())
}

pub(super) fn register_controller(
    facts: &Facts<'_>,
    wanted: &ControllerRegistration,
) -> Result<Decision, ApiError> {
    let same = facts.image.controllers().get(wanted.id).is_some_and(|c| {
        c.incarnation == wanted.incarnation
            && c.endpoints == wanted.endpoints
            && c.features == wanted.features
    });
    if same {
        return Ok(Decision { records: Vec::new(), reply: Reply::Done });
    }
    let endpoint = |e: &Endpoint| ControllerEndpoint {
        name: e.listener.to_string(),
        host: e.host.to_string(),
        port: e.port,
        security_protocol: e.security_protocol,
    };
    let feature = |f: &FeatureRange| ControllerFeature {
        name: f.name.to_string(),
        min_supported_version: f.min,
        max_supported_version: f.max,
    };
    let record = RegisterControllerRecord {
        controller_id: wanted.id,
        incarnation_id: wanted.incarnation,
        zk_migration_ready: false,
        end_points: wanted.endpoints.iter().map(endpoint).collect(),
        features: wanted.features.iter().map(feature).collect(),
    };
    Ok(Decision { records: vec![record.into()], reply: Reply::Done })
}

pub(super) fn unregister_controller(facts: &Facts<'_>, id: NodeId) -> Result<Decision, ApiError> {
    if facts.image.controllers().get(id).is_none() {
        let message = format!("Controller ID {id} is not currently registered");
        return Err(ApiError::new(ErrorCode::ControllerIdNotRegistered, message));
    }
    let record = UnregisterControllerRecord { controller_id: id };
    Ok(Decision { records: vec![record.into()], reply: Reply::Done })
}

pub(super) fn unregister(facts: &Facts<'_>, id: NodeId) -> Result<Decision, ApiError> {
    let Some(broker) = facts.image.brokers().get(id) else {
        let message = format!("Broker ID {id} is not currently registered");
        return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    let mut records = gone_untrusted(facts, id);
    records.push(UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.epoch }.into());
    Ok(Decision { records, reply: Reply::Done })
}

pub(super) fn heartbeat(facts: &Facts<'_>, beat: &BrokerHeartbeat) -> Result<Decision, ApiError> {
    let broker = facts.broker_in_epoch(beat.id, beat.epoch)?;
    let mut records = Vec::new();
    let mut is_fenced = broker.fenced;
    let mut should_shut_down = false;
    if beat.want_shut_down {
        let handed_over = if broker.fenced { Vec::new() } else { hand_over(facts, beat.id) };
        should_shut_down = broker.fenced || may_shut_down(facts, broker, &handed_over);
        if should_shut_down && !broker.fenced {
            records.extend(fence_records(facts, broker));
            is_fenced = true;
        } else if !broker.fenced {
            if !broker.in_controlled_shutdown {
                let change = BrokerRegistrationChangeRecord {
                    broker_id: beat.id,
                    broker_epoch: beat.epoch,
                    in_controlled_shutdown: 1,
                    ..BrokerRegistrationChangeRecord::default()
                };
                records.push(change.into());
            }
            records.extend(handed_over.into_iter().map(MetadataRecord::from));
        }
    } else if beat.want_fence && !broker.fenced {
        records.extend(fence_records(facts, broker));
        is_fenced = true;
    } else if !beat.want_fence && broker.fenced && knows_the_news(facts, beat) {
        let change = BrokerRegistrationChangeRecord {
            broker_id: beat.id,
            broker_epoch: beat.epoch,
            fenced: -1,
            in_controlled_shutdown: if broker.in_controlled_shutdown { -1 } else { 0 },
            ..BrokerRegistrationChangeRecord::default()
        };
        records.push(change.into());
        records.extend(back(facts, beat.id));
        is_fenced = false;
    }
    Ok(Decision { records, reply: Reply::BrokerHeartbeat { is_fenced, should_shut_down, lease_ms: -1 } })
}

/// True if a fenced broker knows what was decided while it was: its own registration at least, and who leads what it
/// led. With an older image it would take itself for the leader still, and the lease that it gets would bear it out.
fn knows_the_news(facts: &Facts<'_>, beat: &BrokerHeartbeat) -> bool {
    beat.current_offset >= facts.live.news_for(beat.id).unwrap_or(facts.image.offset())
}

pub(super) fn fence(facts: &Facts<'_>, id: NodeId, epoch: BrokerEpoch) -> Result<Decision, ApiError> {
    let broker = facts.broker_in_epoch(id, epoch)?;
    let records = if broker.fenced { Vec::new() } else { fence_records(facts, broker) };
    Ok(Decision { records, reply: Reply::Done })
}

fn fence_records(facts: &Facts<'_>, broker: &Broker) -> Vec<MetadataRecord> {
    let mut records = gone(facts, broker.id);
    let change = BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        fenced: 1,
        ..BrokerRegistrationChangeRecord::default()
    };
    records.push(change.into());
    records
}

/// True if a broker that wants to stop may: it leads nothing that others could, and those that lead in its stead know it.
/// What nobody else can lead keeps it from nothing: that would be for ever.
fn may_shut_down(facts: &Facts<'_>, broker: &Broker, handed_over: &[PartitionChangeRecord]) -> bool {
    if handed_over.iter().any(|change| change.leader != LEADER_STAYS) {
        return false;
    }
    if !broker.in_controlled_shutdown {
        return true;
    }
    // A new controller does not know yet when the others will know.
    let offset = facts.live.left_at(broker.id);
    offset.is_some_and(|offset| facts.live.have_applied(facts.image, offset))
}

/// While a broker shuts down it leaves in-sync replicas where others can lead, and leads on where nobody else can.
fn hand_over(facts: &Facts<'_>, broker: NodeId) -> Vec<PartitionChangeRecord> {
    let electorate = Electorate::without(facts, broker);
    let concerns = |p: &Partition| p.leader == broker || p.isr.contains(&broker);
    let mut changes = change_where(facts, &electorate, concerns, |change| change.leave_isr(broker));
    changes.retain(|change| change.leader != NO_LEADER);
    changes
}

/// A broker is gone, or about to go: it leaves the in-sync replicas and leads nothing.
fn gone(facts: &Facts<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    let electorate = Electorate::without(facts, broker);
    let concerns = |p: &Partition| p.leader == broker || p.isr.contains(&broker);
    records(change_where(facts, &electorate, concerns, |change| change.leave_isr(broker)))
}

/// The same for a broker that may have lost records, which makes it no longer eligible either (KIP-966).
fn gone_untrusted(facts: &Facts<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    let electorate = Electorate::without(facts, broker);
    let has_elr = electorate.has_elr();
    let concerns =
        |p: &Partition| p.leader == broker || p.isr.contains(&broker) || (has_elr && p.elr.contains(&broker));
    records(change_where(facts, &electorate, concerns, |change| {
        change.leave_isr(broker);
        change.untrusted = has_elr.then_some(broker);
    }))
}

/// A broker is back: it leads what has no leader and it may lead.
fn back(facts: &Facts<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    let electorate = Electorate::with(facts, broker);
    let concerns = |p: &Partition| p.leader == NO_LEADER && p.is_on(broker);
    records(change_where(facts, &electorate, concerns, |_| {}))
}

fn records(changes: Vec<PartitionChangeRecord>) -> Vec<MetadataRecord> {
    changes.into_iter().map(MetadataRecord::from).collect()
}

/// Changes every partition that is concerned. Looks at each partition there is: what happens to a broker is rare, and the
/// look costs nanoseconds where the change costs microseconds.
fn change_where(
    facts: &Facts<'_>,
    electorate: &Electorate<'_>,
    concerns: impl Fn(&Partition) -> bool,
    edit: impl Fn(&mut Change<'_>),
) -> Vec<PartitionChangeRecord> {
    let mut records = Vec::new();
    for topic in facts.image.topics().iter() {
        for (index, partition) in topic.iter().filter(|(_, partition)| concerns(partition)) {
            let mut change = electorate.change(topic, index, partition);
            change.election = electorate.election(topic);
            edit(&mut change);
            records.extend(change.record());
        }
    }
    records
}
