//! Runs every example that lies beside the mappings, and shows what no example touches.

use std::path::Path;

use careloop::mapping::examples;

#[test]
fn every_example_beside_the_mappings_comes_out_as_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    let report = examples::run_folder(&dir);
    println!("{report}");
    assert!(report.is_ok(), "{report}");
    assert!(
        report.cases > 0,
        "no example was found below {}",
        dir.display()
    );
}
