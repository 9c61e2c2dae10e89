//! What the quorum of controllers writes: its state and its control records, as Apache Kafka 4.4 declares
//! them.
//!
//! [`QuorumStateData`] stands in a file of its own (as JSON in Kafka), the others are values of control
//! records.

use uuid::Uuid;

message! {
    /// What a node remembers of the quorum: whom it voted for, which leader it knows (KIP-595, KIP-853).
    QuorumStateData [0-1] flexible [0+] {
        cluster_id: String, [0];
        leader_id: i32, [0+], default -1;
        leader_epoch: i32, [0+], default -1;
        voted_id: i32, [0+], default -1;
        voted_directory_id: Uuid, [1+];
        applied_offset: i64, [0];
        current_voters: Option<Vec<Voter>>, [0], null [0], default Some(Default::default());
    }
}

structure! {
    /// A part of [`QuorumStateData`].
    Voter {
        voter_id: i32, [0];
    }
}

message! {
    /// Control record: a leader of the quorum begins its epoch.
    LeaderChangeMessage [0-1] flexible [0+] {
        version: i16, [0+];
        leader_id: i32, [0+];
        voters: Vec<LeaderChangeMessageVoter>, [0+];
        granting_voters: Vec<LeaderChangeMessageVoter>, [0+];
    }
}

structure! {
    /// A part of [`LeaderChangeMessage`].
    LeaderChangeMessageVoter {
        voter_id: i32, [0+];
        voter_directory_id: Uuid, [1+];
    }
}

message! {
    /// Control record: first of a snapshot (KIP-630).
    SnapshotHeaderRecord [0] flexible [0+] {
        version: i16, [0+];
        last_contained_log_timestamp: i64, [0+];
    }
}

message! {
    /// Control record: last of a snapshot (KIP-630).
    SnapshotFooterRecord [0] flexible [0+] {
        version: i16, [0+];
    }
}

message! {
    /// Control record: the version of the quorum's protocol (KIP-853).
    KRaftVersionRecord [0] flexible [0+] {
        version: i16, [0+];
        k_raft_version: i16, [0+];
    }
}

message! {
    /// Control record: the set of voters (KIP-853).
    VotersRecord [0] flexible [0+] {
        version: i16, [0+];
        voters: Vec<VotersVoter>, [0+];
    }
}

structure! {
    /// A part of [`VotersRecord`].
    VotersVoter {
        voter_id: i32, [0+];
        voter_directory_id: Uuid, [0+];
        endpoints: Vec<Endpoint>, [0+];
        k_raft_version_feature: KRaftVersionFeature, [0+];
    }
}

structure! {
    /// A part of [`VotersRecord`].
    Endpoint {
        name: String, [0+];
        host: String, [0+];
        port: u16, [0+];
    }
}

structure! {
    /// A part of [`VotersRecord`].
    KRaftVersionFeature {
        min_supported_version: i16, [0+];
        max_supported_version: i16, [0+];
    }
}
