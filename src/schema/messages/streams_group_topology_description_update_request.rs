//! [`StreamsGroupTopologyDescriptionUpdateRequest`].

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

message! {
    /// Hands in the description of a streams topology (KIP-1331).
    StreamsGroupTopologyDescriptionUpdateRequest [0] flexible [0+] {
        group_id: GroupId, [0+];
        member_id: StrBytes, [0+];
        topology_epoch: i32, [0+];
        topology_description: TopologyDescription, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTopologyDescriptionUpdateRequest`].
    TopologyDescription {
        subtopologies: Vec<TopologyDescriptionSubtopology>, [0+];
        global_stores: Vec<TopologyDescriptionGlobalStore>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTopologyDescriptionUpdateRequest`].
    TopologyDescriptionSubtopology {
        subtopology_id: StrBytes, [0+];
        nodes: Vec<TopologyDescriptionNode>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTopologyDescriptionUpdateRequest`].
    TopologyDescriptionNode {
        name: StrBytes, [0+];
        node_type: i8, [0+];
        source_topics: Vec<TopicName>, [0+];
        sink_topic: Option<TopicName>, [0+], null [0+];
        stores: Vec<StrBytes>, [0+];
        successors: Vec<StrBytes>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTopologyDescriptionUpdateRequest`].
    TopologyDescriptionGlobalStore {
        source: TopologyDescriptionNode, [0+];
        processor: TopologyDescriptionNode, [0+];
    }
}

wire_message! {
    request StreamsGroupTopologyDescriptionUpdateRequest, key 93,
    response super::StreamsGroupTopologyDescriptionUpdateResponse
}
