//! Every column has a class; both stores have the same columns; what is sealed cannot be read and
//! opens nowhere else; no tenant sees another's rows.

use std::collections::{BTreeMap, BTreeSet};

use careloop::clock;
use careloop::config::{Secret, StoreConfig};
use careloop::store::{AuditEntry, Store, TenantId};
use careloop::vault::Key;
use serde::Deserialize;
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::said::{DIABETES, Said};

const COLUMNS: &str = include_str!("columns.toml");

/// What the test person's values look like; none of it may be readable anywhere.
const CANARIES: [&str; 6] = [
    "Zzyzxample",
    "TEST-4711",
    "5550199",
    "555-0199",
    "Canary Street",
    "E11.9",
];

/// The classification as written.
#[derive(Deserialize)]
struct Columns {
    classes: BTreeMap<String, String>,
    table: BTreeMap<String, BTreeMap<String, String>>,
}

impl Columns {
    fn read() -> Self {
        toml::from_str(COLUMNS).unwrap()
    }

    /// Every `table.column`.
    fn names(&self) -> BTreeSet<String> {
        let of = |(table, columns): (&String, &BTreeMap<String, String>)| {
            columns
                .keys()
                .map(|column| format!("{table}.{column}"))
                .collect::<Vec<_>>()
        };
        self.table.iter().flat_map(of).collect()
    }

    /// The columns of a class.
    fn of(&self, class: &str) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        for (table, columns) in &self.table {
            let own = columns.iter().filter(|(_, own)| *own == class);
            found.extend(own.map(|(column, _)| (table.as_str(), column.as_str())));
        }
        found
    }
}

/// Every column of the store with its type, by `table.column`.
async fn stored(behind: &Behind) -> BTreeMap<String, String> {
    let statement = if behind.is_postgres() {
        "SELECT table_name::text || '.' || column_name::text, data_type::text FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'"
    } else {
        "SELECT tables.name || '.' || columns.name, columns.type FROM sqlite_master AS tables \
         JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' \
         AND tables.name <> '_sqlx_migrations' AND tables.name NOT LIKE 'sqlite_%'"
    };
    behind.pairs(statement).await.into_iter().collect()
}

/// A hub that has heard of one person with everything that it keeps.
async fn hub_with_canary(database: Database) -> Hub {
    let hub = Hub::start(database, Setup::default()).await;
    let said = Said {
        name: "Zzyzxample^Ada",
        ..Said::of("ADT^A08", "CANARY", "TEST-4711")
    };
    let text = said.with(DIABETES).text();
    let text = text
        .replace("(555)555-0101", "(555)555-0199")
        .replace("1 Sample St", "1 Canary Street");
    let mut peer = hub.peer("adt").await;
    peer.send_bytes(text.as_bytes()).await;
    peer.send_bytes(Said::of("ADT^A28", "OTHER", "TEST-2").text().as_bytes())
        .await;
    assert_eq!(hub.settled().await.len(), 1);
    hub
}

on_each_store! {
    async fn every_column_is_classified_and_both_stores_have_the_same(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let (columns, stored) = (Columns::read(), stored(&behind).await);
        let found: BTreeSet<String> = stored.keys().cloned().collect();
        // Both stores are held against one list, so they cannot differ from each other.
        let names = columns.names();
        let differ: Vec<_> = found.symmetric_difference(&names).collect();
        assert!(differ.is_empty(), "classify in tests/it/columns.toml, or take out: {differ:?}");
        for (table, own) in &columns.table {
            for (column, class) in own {
                let kind = stored[&format!("{table}.{column}")].to_lowercase();
                let expected = columns.classes.get(class);
                let expected = expected.unwrap_or_else(|| panic!("{table}.{column}: no class {class}"));
                let fits = expected.split_whitespace().any(|word| word == kind);
                assert!(fits, "{table}.{column} is {kind}; {class} is {expected}");
            }
        }
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_a_person_is_cannot_be_read_from_any_column(database) {
        let hub = hub_with_canary(database).await;
        let behind = Behind::open(&hub.database).await;
        let mut sealed = BTreeSet::new();
        for name in stored(&behind).await.keys() {
            let (table, column) = name.split_once('.').unwrap();
            let (text, hex) = (behind.text(column), behind.hex(column));
            let statement = format!("SELECT {text}, {hex} FROM {table}");
            for (text, hex) in behind.pairs(&statement).await {
                for canary in CANARIES {
                    let bytes: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
                    assert!(!text.contains(canary) && !hex.contains(&bytes), "{name} can be read");
                }
            }
        }
        for (table, column) in Columns::read().of("sealed") {
            let statement = format!("SELECT {} FROM {table} WHERE {column} IS NOT NULL", behind.hex(column));
            for cell in behind.texts(&statement).await {
                assert!(cell.starts_with("483101"), "{table}.{column} is no cell");
                sealed.insert(format!("{table}.{column}"));
            }
        }
        for table in ["person_identifier", "assertion", "contact_point", "finding", "task"] {
            assert!(sealed.contains(&format!("{table}.cell")), "expected cells of every kind, found {sealed:?}");
        }
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_cell_opens_in_no_other_row_and_for_no_other_tenant(database) {
        let hub = hub_with_canary(database).await;
        let behind = Behind::open(&hub.database).await;
        let (canary, other) = (hub.message("CANARY").await.id, hub.message("OTHER").await.id);
        let (canary, other): (Uuid, Uuid) = (canary.parse().unwrap(), other.parse().unwrap());
        let tenant = hub.store().ensure_tenant("elsewhere", clock::now()).await.unwrap();
        assert!(opens(&hub, hub.tenant, other).await);
        // The same key, another row.
        let id = |id: Uuid| format!("{} = '{}'", behind.hex("id"), id.simple());
        behind.run(&format!("UPDATE message SET body = (SELECT body FROM message WHERE {}) WHERE {}", id(canary), id(other))).await;
        assert!(!opens(&hub, hub.tenant, other).await, "a body opened in another row");
        assert!(opens(&hub, hub.tenant, canary).await);
        // The same row with its key, another tenant.
        for (table, columns) in [
            ("tenant_key", "purpose, id, wrapped, state, created_at"),
            ("message", "id, source, control_id, digest, message_type, processing_id, received_at, last_seen_at, state, body, body_bytes"),
        ] {
            behind.run(&format!("INSERT INTO {table} (tenant, {columns}) SELECT {}, {columns} FROM {table} WHERE tenant = {} \
                ON CONFLICT DO NOTHING", tenant.0, hub.tenant.0)).await;
        }
        assert!(!opens(&hub, tenant, canary).await, "a body opened for another tenant");
        // A cell of one person stands in another row of hers.
        let (ada, now) = (hub.person("TEST-4711").await, clock::now());
        let of = format!("{} = '{}'", behind.hex("person"), ada.simple());
        let swapped = behind.run(&format!("UPDATE assertion SET message = (SELECT id FROM message WHERE tenant = {} AND {}) WHERE {of}", hub.tenant.0, id(other))).await;
        assert_eq!(swapped, 1);
        let mut tx = hub.store().read(hub.tenant).await.unwrap();
        assert!(tx.load(ada, now).await.is_err(), "a cell opened in another row");
        drop(tx);
        hub.daemon.stop().await;
    }
}

/// Whether the body of a message can be read.
async fn opens(hub: &Hub, tenant: TenantId, id: Uuid) -> bool {
    let entry = AuditEntry {
        at: clock::now(),
        actor: "operator:Test Operator".to_owned(),
        action: "message.show",
        outcome: "done",
        purpose: Some("support".to_owned()),
        entity: ("message", Some(id)),
        message: Some(id),
        detail: None,
    };
    let detail = hub.store().message(tenant, id, &entry).await.unwrap();
    detail.unwrap().body.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_shows_a_tenant_its_own_rows_only_whoever_asks() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let hub = hub_with_canary(database).await;
    let other = hub
        .store()
        .ensure_tenant("elsewhere", clock::now())
        .await
        .unwrap();
    let application = sqlx::PgPool::connect(&hub.database.url).await.unwrap();
    let owner = hub.database.url.replace("careloop_app@", "careloop_owner@");
    let owner = sqlx::PgPool::connect(&owner).await.unwrap();
    for pool in [&application, &owner] {
        let mut seen = 0;
        for (table, columns) in &Columns::read().table {
            if !columns.contains_key("tenant") {
                continue;
            }
            let (_, forced) = forced(pool, table).await;
            assert!(forced, "{table} does not force row security");
            seen += visible(pool, table, Some(hub.tenant)).await;
            assert_eq!(
                visible(pool, table, None).await,
                0,
                "{table} without a tenant"
            );
            let foreign = format!("{table} WHERE tenant <> {}", other.0);
            assert_eq!(
                visible(pool, &foreign, Some(other)).await,
                0,
                "{table} of another tenant"
            );
        }
        assert!(seen > 20, "the tenant sees its own rows, found {seen}");
    }
    hub.daemon.stop().await;
}

async fn forced(pool: &sqlx::PgPool, table: &str) -> (bool, bool) {
    let statement = "SELECT relrowsecurity, relrowsecurity AND relforcerowsecurity FROM pg_class \
        WHERE relname = $1 AND relnamespace = 'public'::regnamespace";
    sqlx::query_as(statement)
        .bind(table)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// How many rows a transaction of a tenant sees.
async fn visible(pool: &sqlx::PgPool, from: &str, tenant: Option<TenantId>) -> i64 {
    let mut tx = pool.begin().await.unwrap();
    if let Some(tenant) = tenant {
        let set = "SELECT set_config('careloop.tenant', $1, true)";
        sqlx::query(set)
            .bind(tenant.0.to_string())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {from}"));
    let (rows,): (i64,) = sqlx::query_as(statement).fetch_one(&mut *tx).await.unwrap();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_row_security_does_not_bind_is_refused() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let config = StoreConfig {
        url: Secret::new(database.behind.clone().unwrap()),
        owner_url: None,
        connections: 4,
    };
    let root = Key::from_root_text("0123456789abcdef".repeat(4).as_bytes()).unwrap();
    let refused = Store::open(&config, root.into())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("superuser") && refused.contains("application role"),
        "{refused}"
    );
}
