//! What the documentation shows of wavegate's own kinds, asked of the real API server.

use std::fs;
use std::path::Path;

use crate::guard::enforcing;

/// The blocks of a page that show objects of wavegate's.
fn objects(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).expect("a page");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.filter(|block| block.contains("apiVersion: wavegate.dev/")).map(str::to_owned).collect()
}

#[test]
fn every_object_that_a_page_shows_is_accepted() {
    let namespace = enforcing("documents");
    let mut shown = 0;
    let folders = ["docs", "docs/runbooks"].map(|folder| fs::read_dir(folder).expect("a folder"));
    let pages = folders.into_iter().flatten().map(|entry| entry.expect("an entry").path());
    for page in pages.filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        for object in objects(&page) {
            // Pages write for a namespace of their own.
            let here = object.replace("  namespace: shop\n", "");
            let create = ["create", "--dry-run=server", "--filename=-"];
            let output = namespace.kubectl().args(create).stdin(here).run();
            assert!(output.status.success(), "{}: {}\n{object}", page.display(), output.stderr);
            shown += 1;
        }
    }
    assert!(shown >= 6, "{shown} objects");
}
