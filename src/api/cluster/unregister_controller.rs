//! UnregisterController: forgets the registration of a controller that will not come back. Whether it has a vote is another
//! matter: see RemoveRaftVoter. One that is there after all registers itself again when it next starts.

use crate::api::controller_gate::{DEFAULT_WAIT, submit};
use crate::api::errors::code_and_message;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::Command;
use crate::schema::api::{UnregisterControllerRequest, UnregisterControllerResponse};

/// Key 94.
pub struct UnregisterController;

impl Api for UnregisterController {
    type Request = UnregisterControllerRequest;
    type Response = UnregisterControllerResponse;
    const KEY: i16 = 94;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Both;

    async fn handle(
        cx: &RequestContext,
        request: UnregisterControllerRequest,
    ) -> UnregisterControllerResponse {
        let (error_code, error_message) =
            match submit(cx, Command::UnregisterController(request.controller_id), DEFAULT_WAIT).await {
                Ok(_done) => (0, None),
                Err(error) => code_and_message(&error),
            };
        UnregisterControllerResponse { error_code, error_message, ..UnregisterControllerResponse::default() }
    }
}
