//! [`UnregisterControllerRequest`].

message! {
    /// Removes the registration of a controller.
    UnregisterControllerRequest [0] flexible [0+] {
        controller_id: i32, [0+];
    }
}

wire_message! {
    request UnregisterControllerRequest, key 94,
    response super::unregister_controller_response::UnregisterControllerResponse
}
