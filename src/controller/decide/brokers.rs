//! Brokers and controllers: registered, fenced, let go.

use std::collections::BTreeSet;

use crate::metadata::features::METADATA_VERSION;
use crate::metadata::topics::directory;
use crate::metadata::{Broker, Endpoint, FeatureRange};
use crate::schema::metadata::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ControllerEndpoint, ControllerFeature,
    MetadataRecord, RegisterBrokerRecord, RegisterControllerRecord, UnregisterBrokerRecord,
};
use crate::types::{BrokerEpoch, ErrorCode, NodeId};

use super::super::command::{ApiError, BrokerHeartbeat, BrokerRegistration, ControllerRegistration, Reply};
use super::{Decision, Facts, elections, partitions};

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
    // One that was about to go and comes again need not wait for its session's end.
    if let Some(existing) = existing.filter(|old| !old.in_controlled_shutdown)
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
    // A new incarnation is fenced by its registration: what it led before, it has lost.
    let mut records = match existing {
        Some(old) if same_incarnation.is_none() => lose_leaderships(facts, old.id),
        _ => Vec::new(),
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

pub(super) fn unregister(facts: &Facts<'_>, id: NodeId) -> Result<Decision, ApiError> {
    let Some(broker) = facts.image.brokers().get(id) else {
        let message = format!("Broker ID {id} is not currently registered");
        return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    let mut records = lose_leaderships(facts, id);
    records.push(UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.epoch }.into());
    Ok(Decision { records, reply: Reply::Done })
}

pub(super) fn heartbeat(facts: &Facts<'_>, beat: &BrokerHeartbeat) -> Result<Decision, ApiError> {
    let broker = facts.broker_in_epoch(beat.id, beat.epoch)?;
    let mut records = Vec::new();
    let mut is_fenced = broker.fenced;
    let mut should_shut_down = false;
    if beat.want_shut_down {
        if broker.fenced {
            should_shut_down = true;
        } else {
            // First what others can lead is moved; with the next heartbeat the broker may go. What nobody else can lead
            // keeps it from nothing: that would be for ever.
            should_shut_down = !leads_what_others_can(facts, beat.id);
            if should_shut_down {
                records.extend(fence_records(facts, broker));
                is_fenced = true;
            } else {
                if !broker.in_controlled_shutdown {
                    let change = BrokerRegistrationChangeRecord {
                        broker_id: beat.id,
                        broker_epoch: beat.epoch,
                        in_controlled_shutdown: 1,
                        ..BrokerRegistrationChangeRecord::default()
                    };
                    records.push(change.into());
                }
                records.extend(shutdown_records(facts, beat.id));
            }
        }
    } else if beat.want_fence && !broker.fenced {
        records.extend(fence_records(facts, broker));
        is_fenced = true;
    } else if !beat.want_fence && broker.fenced && beat.current_offset >= beat.epoch {
        // It knows the cluster up to its own registration at least.
        let change = BrokerRegistrationChangeRecord {
            broker_id: beat.id,
            broker_epoch: beat.epoch,
            fenced: -1,
            in_controlled_shutdown: if broker.in_controlled_shutdown { -1 } else { 0 },
            ..BrokerRegistrationChangeRecord::default()
        };
        records.push(change.into());
        records.extend(take_leaderships(facts, beat.id));
        is_fenced = false;
    }
    Ok(Decision { records, reply: Reply::BrokerHeartbeat { is_fenced, should_shut_down } })
}

pub(super) fn fence(facts: &Facts<'_>, id: NodeId, epoch: BrokerEpoch) -> Result<Decision, ApiError> {
    let broker = facts.broker_in_epoch(id, epoch)?;
    let records = if broker.fenced { Vec::new() } else { fence_records(facts, broker) };
    Ok(Decision { records, reply: Reply::Done })
}

fn fence_records(facts: &Facts<'_>, broker: &Broker) -> Vec<MetadataRecord> {
    let mut records = lose_leaderships(facts, broker.id);
    let change = BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        fenced: 1,
        ..BrokerRegistrationChangeRecord::default()
    };
    records.push(change.into());
    records
}

/// What becomes of the partitions when a broker is gone: it leaves their in-sync replicas and leads none.
fn lose_leaderships(facts: &Facts<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    let alive = |id: NodeId| id != broker && facts.image.is_active(id);
    let mut records = Vec::new();
    for topic in facts.image.topics().iter() {
        for (index, partition) in topic.iter().filter(|(_, p)| p.isr.contains(&broker) || p.leader == broker)
        {
            let change = partitions::without_broker(partition, topic.id, index, broker, alive);
            records.extend(change.map(MetadataRecord::from));
        }
    }
    records
}

/// True if there is a partition that the broker leads and somebody else could.
fn leads_what_others_can(facts: &Facts<'_>, broker: NodeId) -> bool {
    let alive = |id: NodeId| id != broker && facts.image.is_active(id);
    facts.image.topics().iter().any(|topic| {
        topic.iter().any(|(_, p)| p.leader == broker && elections::online_leader(p, alive).is_some())
    })
}

/// While a broker shuts down it leaves in-sync replicas where others remain, and leads on where nobody else can.
fn shutdown_records(facts: &Facts<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    let alive = |id: NodeId| id != broker && facts.image.is_active(id);
    let mut records = Vec::new();
    for topic in facts.image.topics().iter() {
        for (index, partition) in topic.iter().filter(|(_, p)| p.isr.contains(&broker)) {
            let change = partitions::without_broker(partition, topic.id, index, broker, alive);
            records
                .extend(change.filter(|c| c.leader != crate::metadata::NO_LEADER).map(MetadataRecord::from));
        }
    }
    records
}

/// Partitions without a leader that a broker can lead now that it is back.
fn take_leaderships(facts: &Facts<'_>, broker: NodeId) -> Vec<MetadataRecord> {
    let alive = |id: NodeId| id == broker || facts.image.is_active(id);
    let mut records = Vec::new();
    for topic in facts.image.topics().iter() {
        for (index, partition) in
            topic.iter().filter(|(_, p)| p.leader == crate::metadata::NO_LEADER && p.is_on(broker))
        {
            if let Some(leader) = elections::online_leader(partition, alive) {
                records.push(elections::change(partition, topic.id.0, index, leader, false).into());
            }
        }
    }
    records
}
