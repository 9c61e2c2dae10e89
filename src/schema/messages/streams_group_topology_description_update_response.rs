//! [`StreamsGroupTopologyDescriptionUpdateResponse`].

use kafka_protocol::protocol::StrBytes;

message! {
    /// Whether the description was kept.
    StreamsGroupTopologyDescriptionUpdateResponse [0] flexible [0+] {
        throttle_time_ms: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
    }
}

wire_message! { response StreamsGroupTopologyDescriptionUpdateResponse }
