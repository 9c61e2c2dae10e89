//! [`AddRaftVoterResponse`].

use kafka_protocol::protocol::StrBytes;

message! {
    /// Whether the voter was added.
    AddRaftVoterResponse [0-1] flexible [0+] {
        throttle_time_ms: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+], default Some(Default::default());
    }
}

wire_message! { response AddRaftVoterResponse }
