"""A process in a container knows what it may use."""

from pathlib import Path

from services.mesh.cgroups import cpu_limit, memory_limit_bytes


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".", 1)).write_text(text)


def test_the_least_quota_of_a_group_and_those_above_it_counts(tmp_path: Path) -> None:
    own, cgroups = tmp_path / "own", tmp_path / "cgroup"
    own.write_text("0::/site/worker\n")
    assert cpu_limit(cgroups, own) == float("inf")
    group(cgroups / "site" / "worker", cpu__max="max 100000\n")
    group(cgroups / "site", cpu__max="50000 100000\n")
    assert cpu_limit(cgroups, own) == 0.5
    group(cgroups / "site" / "worker", cpu__max="20000 100000\n")
    assert cpu_limit(cgroups, own) == 0.2


def test_a_quota_of_version_1_counts_and_one_within_a_container_whose_group_is_not_named(tmp_path: Path) -> None:
    own, cgroups = tmp_path / "own", tmp_path / "cgroup"
    own.write_text("3:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n0::/\n")
    group(cgroups / "cpu", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    assert cpu_limit(cgroups, own) == float("inf")
    group(cgroups / "cpu", cpu__cfs_quota_us="150000\n", cpu__cfs_period_us="100000\n")
    assert cpu_limit(cgroups, own) == 1.5
    assert cpu_limit(cgroups, tmp_path / "missing") == float("inf")


def test_lines_and_files_that_are_not_as_described_are_passed_over(tmp_path: Path) -> None:
    own, cgroups = tmp_path / "own", tmp_path / "cgroup"
    own.write_bytes(b"\nnothing\n0:\n5:cpu:/\xff\x0cname\n0::/site\n")
    group(cgroups / "site", cpu__max="100000 0\n")
    group(cgroups / "cpu", cpu__cfs_quota_us="", cpu__cfs_period_us="100000\n")
    assert cpu_limit(cgroups, own) == float("inf")
    group(cgroups, cpu__max="300000 100000\n")
    assert cpu_limit(cgroups, own) == 3.0


def test_the_least_bound_of_memory_counts_of_either_version(tmp_path: Path) -> None:
    own, cgroups = tmp_path / "own", tmp_path / "cgroup"
    own.write_text("0::/site/nats\n")
    group(cgroups / "site" / "nats", memory__max="max\n", cpu__max="50000 100000\n")
    assert memory_limit_bytes(cgroups, own) == float("inf")
    group(cgroups / "site", memory__max="1073741824\n")
    assert memory_limit_bytes(cgroups, own) == 1 << 30
    own.write_text("3:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n")
    assert memory_limit_bytes(cgroups, own) == float("inf")
    group(cgroups / "memory", memory__limit_in_bytes="536870912\n")
    assert memory_limit_bytes(cgroups, own) == 1 << 29
