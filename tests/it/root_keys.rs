//! A new root key: whose file takes its place after the commit, and which one a store asks for.

use std::os::unix::fs::PermissionsExt;

use crate::keys::{hub_with_people, ids, rotate, status, told};
use crate::support::database::Database;
use crate::support::hub::Hub;
use crate::support::on_each_store;
use crate::support::operator::BY;
use crate::support::serving::bare;

on_each_store! {
    async fn a_root_rotation_that_was_interrupted_is_found_and_finished(database) {
        let hub = hub_with_people(database, 2).await;
        let folder = hub.folder();
        let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let old = file("careloop.key");
        let before = ids(&status(&hub.database), "root", "active").remove(0);
        // As a kill while the new key is written leaves it: nothing is under it.
        std::fs::write(folder.join("careloop.key.new"), "01").unwrap();
        let mode = PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(folder.join("careloop.key.new"), mode).unwrap();
        let refused = rotate(&hub.database, &["root"]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("remove it and try again"));
        std::fs::remove_file(folder.join("careloop.key.new")).unwrap();
        // As a kill between the commit and the last step leaves it: the new key lies beside.
        told(&rotate(&hub.database, &["root", "--to", "careloop.key.new"]));
        assert_eq!(file("careloop.key"), old);
        let hub = hub.restart().await;
        hub.record(hub.person("TEST-1").await).await;
        let noted = hub.command(&["keys", "status"]);
        assert!(String::from_utf8_lossy(&noted.stderr).contains("finish the rotation"));
        let new = file("careloop.key.new");
        let said = told(&rotate(&hub.database, &["root"]));
        assert!(said.contains("since an interrupted rotation"), "{said}");
        assert_eq!((file("careloop.key"), file(&format!("careloop.key.{before}"))), (new, old));
        assert!(!folder.join("careloop.key.new").exists());
        let mode = std::fs::metadata(folder.join("careloop.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o400);
        let hub = hub.restart().await;
        hub.record(hub.person("TEST-1").await).await;
        assert!(hub.command(&["keys", "status"]).stderr.is_empty());
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_store_under_another_root_key_says_which_one_it_wants(database) {
        let hub = hub_with_people(database, 2).await;
        let folder = hub.folder();
        let old = ids(&status(&hub.database), "root", "active").remove(0);
        told(&rotate(&hub.database, &["root"]));
        let new = ids(&status(&hub.database), "root", "active").remove(0);
        // Somebody puts the old key back.
        let (key, kept) = (folder.join("careloop.key"), folder.join(format!("careloop.key.{old}")));
        std::fs::rename(&key, folder.join(format!("careloop.key.{new}"))).unwrap();
        std::fs::rename(&kept, &key).unwrap();
        for command in [&["check"][..], &["keys", "status"], &["message", "count"], &["serve"]] {
            let refused = hub.command(command);
            let errors = String::from_utf8_lossy(&refused.stderr);
            let named = errors.contains(&format!("under root key {new}"))
                && errors.contains(&format!("careloop.key.{new}"));
            // A hub owns its file, so `serve` beside it is refused for that.
            let is_owned = command == ["serve"] && hub.store().is_embedded();
            assert!(named || is_owned, "{command:?}: {errors}");
            assert_eq!(refused.status.code(), Some(78), "{command:?}");
        }
        std::fs::rename(folder.join(format!("careloop.key.{new}")), &key).unwrap();
        assert!(hub.command(&["message", "count"]).status.success());
        hub.daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_opens_with_the_root_key_of_its_time() {
    let hub = hub_with_people(Database::sqlite(), 2).await;
    let folder = hub.folder();
    let old = ids(&status(&hub.database), "root", "active").remove(0);
    hub.run(&["backup", "copy.db"]).await;
    told(&rotate(&hub.database, &["tenant"]));
    told(&rotate(&hub.database, &["root"]));
    let (daemon, database, setup) = hub.apart();
    daemon.stop().await;
    for name in ["careloop.db-wal", "careloop.db-shm"] {
        drop(std::fs::remove_file(folder.join(name)));
    }
    std::fs::rename(folder.join("copy.db"), folder.join("careloop.db")).unwrap();
    let refused = bare(&database, "", &["message", "count"]).output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr);
    let kept = format!("careloop.key.{old}");
    assert!(errors.contains(&kept), "{errors}");
    std::fs::rename(folder.join(kept), folder.join("careloop.key")).unwrap();
    let hub = Hub::start(database, setup).await;
    hub.record(hub.person("TEST-1").await).await;
    hub.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_key_that_careloop_cannot_write_is_rotated_into_a_file() {
    let hub = hub_with_people(Database::sqlite(), 1).await;
    let digits = "0123456789abcdef".repeat(4);
    let command = |root: &str, arguments: &[&str]| {
        bare(&hub.database, "", arguments)
            .env("CARELOOP__KEYS__ROOT", "env:TEST_ROOT")
            .env("TEST_ROOT", root)
            .output()
            .unwrap()
    };
    let rotate = [&["keys", "rotate", "root"], &BY[..]].concat();
    let refused = command(&digits, &rotate);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--to PATH"));
    let said = told(&command(
        &digits,
        &[&rotate[..], &["--to", "next.key"]].concat(),
    ));
    assert!(
        said.contains("put it where environment variable TEST_ROOT reads it"),
        "{said}"
    );
    let wanting = command(&digits, &["message", "count"]);
    assert_eq!(wanting.status.code(), Some(78));
    let next = std::fs::read_to_string(hub.folder().join("next.key")).unwrap();
    assert!(command(&next, &["message", "count"]).status.success());
    // The running hub knows its keys and goes on.
    hub.record(hub.person("TEST-0").await).await;
    hub.daemon.stop().await;
}
