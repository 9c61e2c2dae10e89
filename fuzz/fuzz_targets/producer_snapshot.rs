//! Snapshots of producers and epoch checkpoints are errors or come back the same; any state survives any batch.
//!
//! Input: the entries of a snapshot, whose header is made right; the same bytes again as a checkpoint and as a log.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ottla::storage::leader_epochs::LeaderEpochs;
use ottla::storage::producer_state::ProducerState;
use ottla::wire::batch::batches;

const ENTRY_BYTES: usize = 46;

fuzz_target!(|data: &[u8]| {
    if let Ok(epochs) = LeaderEpochs::from_bytes(data) {
        assert_eq!(LeaderEpochs::from_bytes(&epochs.to_bytes()), Ok(epochs));
    }
    let _ = ProducerState::from_bytes(data, 0, 0, i64::MAX);
    let entries = &data[..data.len() / ENTRY_BYTES * ENTRY_BYTES];
    let mut body = ((entries.len() / ENTRY_BYTES) as i32).to_be_bytes().to_vec();
    body.extend(entries);
    let snapshot = [&[0, 1][..], &crc32c::crc32c(&body).to_be_bytes(), &body].concat();
    let mut state = ProducerState::from_bytes(&snapshot, 0, 0, i64::MAX).expect("its header is right");
    let written = state.to_bytes();
    let again = ProducerState::from_bytes(&written, 0, 0, i64::MAX).expect("what was written can be read");
    assert_eq!(again.to_bytes(), written);
    for batch in batches(data).flatten() {
        let _ = state.replay(&batch);
        state.on_high_watermark(batch.header().base_offset());
        let _ = state.first_unstable_offset();
    }
});
