//! Where secrets are read, and where they are not.

use super::{read, secret_from};
use crate::config::KeySource;
use std::fs;

#[test]
fn a_key_file_that_others_can_read_is_refused_with_advice() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    fs::write(&path, b"not for others").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let source = KeySource::File(path.clone());
    let problem = secret_from(&source, &|_| None).unwrap_err();
    assert!(problem.next.contains("chmod 600"), "{problem}");
    assert!(problem.says.contains("found mode 640"), "{problem}");
    assert!(!problem.to_string().contains("not for others"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        secret_from(&source, &|_| None).unwrap().as_slice(),
        b"not for others"
    );
}

#[test]
fn a_secret_comes_from_the_environment_or_a_systemd_credential() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("root"), b"credential").unwrap();
    let path = folder.path().to_string_lossy().into_owned();
    let environment = |name: &str| match name {
        "CREDENTIALS_DIRECTORY" => Some(path.clone()),
        "ROOT_KEY" => Some("variable".to_owned()),
        _ => None,
    };
    let from = |source| secret_from(&source, &environment).map(|bytes| bytes.to_vec());
    assert_eq!(
        from(KeySource::SystemdCredential("root".into())).unwrap(),
        b"credential"
    );
    assert_eq!(
        from(KeySource::Env("ROOT_KEY".into())).unwrap(),
        b"variable"
    );
    assert!(from(KeySource::Env("OTHER".into())).is_err());
    let unset = secret_from(&KeySource::SystemdCredential("root".into()), &|_| None).unwrap_err();
    assert!(unset.next.contains("LoadCredential="), "{unset}");
}

#[test]
fn systemd_guards_its_own_folder_and_no_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let environment = |name: &str| {
        (name == "CREDENTIALS_DIRECTORY").then(|| credentials.to_string_lossy().into_owned())
    };
    let (ours, other) = (credentials.join("http.key"), folder.path().join("http.key"));
    for path in [&ours, &other] {
        fs::write(path, b"key").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o440)).unwrap();
    }
    let read = |path| secret_from(&KeySource::File(path), &environment);
    assert_eq!(read(ours).unwrap().as_slice(), b"key");
    assert!(read(other).unwrap_err().says.contains("found mode 440"));
}

#[test]
fn an_empty_or_endless_file_is_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    for content in [Vec::new(), vec![1; 65 * 1024]] {
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, private()).unwrap();
        assert!(secret_from(&KeySource::File(path.clone()), &|_| None).is_err());
    }
    assert!(read(&path, 1024).unwrap_err().says.contains("found more"));
    assert_eq!(read(&path, 1 << 20).unwrap().len(), 65 * 1024);
}

fn private() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o600)
}
