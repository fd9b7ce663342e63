//! What stands in a home, whoever it is for.

use super::*;

#[test]
fn each_home_and_its_environment_name_the_server_and_the_model() {
    for tool in Tool::ALL {
        let home = tempfile::tempdir().unwrap();
        let url = "http://127.0.0.1:7";
        let env = write_home(tool, home.path(), url, "some-model").unwrap();
        let mut said = format!("{env:?}");
        let mut folders = vec![home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    said += &std::fs::read_to_string(entry).unwrap();
                }
            }
        }
        let name = tool.name();
        assert!(said.contains(url) && said.contains("some-model"), "{name}: {said}");
        assert_eq!(env.is_empty(), Tool::USUAL.contains(&tool), "{name}");
    }
}
