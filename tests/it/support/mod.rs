//! What integration tests share: a hub on port 0, a peer that sends, a database and a vhost each.

#[path = "../../support/agreement.rs"]
pub(crate) mod agreement;
pub(crate) mod api;
pub(crate) mod behind;
pub(crate) mod said;
pub(crate) mod sekmet;
pub(crate) mod served;
pub(crate) mod serving;
pub(crate) mod standing;
pub(crate) mod broker;
pub(crate) mod clinic;
pub(crate) mod crm;
pub(crate) mod database;
pub(crate) mod fhir_server;
pub(crate) mod hub;
pub(crate) mod operator;
pub(crate) mod peer;
pub(crate) mod policy;
pub(crate) mod publishing;
pub(crate) mod wait;
pub(crate) mod webhook;

/// One test body, run on SQLite and on PostgreSQL.
macro_rules! on_each_store {
    ($(#[$attribute:meta])* async fn $name:ident($database:ident) $body:block) => {
        mod $name {
            use super::*;

            async fn body($database: crate::support::database::Database) $body

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                body(crate::support::database::Database::sqlite()).await;
            }

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(database) = crate::support::database::Database::postgres().await {
                    body(database).await;
                }
            }
        }
    };
}
pub(crate) use on_each_store;
