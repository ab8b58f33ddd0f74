//! How the hub stands, as `careloop status` tells it.

use serde_json::Value;

use super::hub::Hub;

/// The JSON of `careloop status`.
pub(crate) async fn status(hub: &Hub) -> Value {
    serde_json::from_str(&hub.run(&["status", "--json"]).await).unwrap()
}
