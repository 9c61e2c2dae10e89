//! FetchSnapshot: a piece of a snapshot of the metadata log (KIP-630).

use crate::api::{Api, On, RequestContext};
use crate::schema::api::{FetchSnapshotRequest, FetchSnapshotResponse};

/// Key 59.
pub struct FetchSnapshot;

impl Api for FetchSnapshot {
    type Request = FetchSnapshotRequest;
    type Response = FetchSnapshotResponse;
    const KEY: i16 = 59;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Controller;

    async fn handle(cx: &RequestContext, request: FetchSnapshotRequest) -> FetchSnapshotResponse {
        cx.broker.quorum.fetch_snapshot(request).await
    }
}
