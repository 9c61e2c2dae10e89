//! [`AddRaftVoterRequest`].

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Adds a voter to the quorum (KIP-853, KIP-1186).
    AddRaftVoterRequest [0-1] flexible [0+] {
        cluster_id: Option<StrBytes>, [0+], null [0+], default Some(Default::default());
        timeout_ms: i32, [0+];
        voter_id: i32, [0+];
        voter_directory_id: Uuid, [0+];
        listeners: Vec<Listener>, [0+];
        ack_when_committed: bool, [1+], default true;
    }
}

structure! {
    /// A part of [`AddRaftVoterRequest`].
    Listener {
        name: StrBytes, [0+];
        host: StrBytes, [0+];
        port: u16, [0+];
    }
}

wire_message! {
    request AddRaftVoterRequest, key 80,
    response super::add_raft_voter_response::AddRaftVoterResponse
}
