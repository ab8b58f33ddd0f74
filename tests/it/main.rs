//! Everything that needs a socket, a database, a broker or the corpus, in one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and says so"
)]

mod support;

mod agreement;
mod application_ack;
mod api;
mod api_answers;
mod api_caps;
mod api_refusals;
mod api_tenants;
mod api_tls;
mod batches;
mod broker;
mod broker_users;
mod cli;
mod canary;
mod canary_content;
mod consent_gate;
mod consent_messages;
mod consent_race;
mod corpus;
mod crash;
mod crm_check;
mod demo;
mod ehr_client;
mod ehr_sekmet;
mod ehr_tls;
mod example_crm;
mod feedback;
mod feedback_ways;
mod fhir_corpus;
mod fhir_mapped;
mod fhir_source;
mod fhir_xml;
mod fhirpath_engine;
mod fields;
mod holds;
mod identity;
mod identity_decisions;
mod identity_moves;
mod identity_properties;
mod intake;
mod intake_load;
mod journeys;
mod keys;
mod loops;
mod oracle;
mod outbox_connection;
mod outbox_outage;
mod outbox_rabbit;
mod root_keys;
mod schema;
mod shared_tasks;
mod shared_numbers;
mod slice;
mod standing;
mod status;
mod task_events;
mod traces;
mod upgrade;
mod wire;
