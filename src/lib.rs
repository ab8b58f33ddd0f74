//! careloop: an EHR integration hub. One daemon between a clinic's EHRs and its CRM.
//!
//! ```text
//!  EHR ──▶ intake ──▶ inbox │ pipeline: mapping ▸ crm ▸ care ▸ consent │ outbox ──▶ RabbitMQ ──▶ CRM
//!            │ ack          └──────────────── one transaction ─────────┘    │ confirm             │
//!            ▲                                                              └── task events ◀─────┘
//!
//!  people ──▶ cli ──▶ the same store, the same mappings        web ──▶ health, metrics, the CRM's API
//! ```
//!
//! Messages arrive over MLLP, are stored and only then acknowledged. Declarative mappings turn each
//! into changes of a thin model that points to clinical data and never copies it; declarative rules
//! find care gaps, open referrals and missed appointments; consent decides, twice, whether a task
//! may leave. The modules stand in the order in which a message meets them.

// Languages and words: pure, no I/O, no clock.
pub mod instant;
pub mod nearest;
pub mod hl7;
pub mod fhir;
pub mod phi;
pub mod failure;
pub mod message;
pub mod trace;
pub mod crm;
// Knowledge, declared in files: what messages mean, what is missing, what is allowed.
pub mod mapping;
pub mod care;
pub mod consent;
// The world: the only readers of time, environment and keys; the only writer of rows.
pub mod clock;
pub mod config;
pub mod tls;
pub mod vault;
pub mod store;
pub mod telemetry;
pub mod retry;
pub mod guard;
pub mod step;
pub mod slots;
// Asking an EHR: a guarded FHIR client and its proof of who asks.
pub mod ehr;
// One tenant, compiled; and the one question that two stations ask.
pub mod site;
pub mod outreach;
// Stations, in the order a message meets them.
pub mod intake;
pub mod pipeline;
pub mod outbox;
// What a person should look at, and whom to tell.
pub mod alert;
// What the CRM may ask of the hub, and gets after it is on record.
pub mod access;
// Doors and assembly.
pub mod web;
pub mod cli;
pub mod daemon;
