"""The main job: plan -> features -> train -> select -> final -> test -> report."""
