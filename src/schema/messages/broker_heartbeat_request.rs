//! [`BrokerHeartbeatRequest`].

use kafka_protocol::messages::BrokerId;
use uuid::Uuid;

message! {
    /// A broker says that it lives (KIP-631, KIP-858, KIP-1066).
    BrokerHeartbeatRequest [0-2] flexible [0+] {
        broker_id: BrokerId, [0+];
        broker_epoch: i64, [0+], default -1;
        current_metadata_offset: i64, [0+];
        want_fence: bool, [0+];
        want_shut_down: bool, [0+];
        offline_log_dirs: Vec<Uuid>, [1+], tag 0 [1+];
        cordoned_log_dirs: Option<Vec<Uuid>>, [2+], null [2+], tag 1 [2+];
    }
}

wire_message! {
    request BrokerHeartbeatRequest, key 63,
    response super::broker_heartbeat_response::BrokerHeartbeatResponse
}
