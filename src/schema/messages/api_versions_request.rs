//! [`ApiVersionsRequest`].

use kafka_protocol::protocol::StrBytes;

message! {
    /// Asks which APIs a node serves (KIP-35, KIP-511, KIP-1242).
    ApiVersionsRequest [0-5] flexible [3+] {
        client_software_name: StrBytes, [3+];
        client_software_version: StrBytes, [3+];
        cluster_id: Option<StrBytes>, [5+], null [5+];
        node_id: i32, [5+], default -1;
    }
}

wire_message! {
    request ApiVersionsRequest, key 18,
    response super::api_versions_response::ApiVersionsResponse
}
