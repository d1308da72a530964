"""Who does the shards: this process, several on this machine, or the workers of a Ray cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from tfxai.scale.extras import needed
from tfxai.scale.shards import shard_file
from tfxai.scale.work import Done, Job, Worker

RETRIES = 3  # of a worker that dies; an input that kills each of them must not do so for ever

_worker: Worker  # of this process, if it is one of several


def in_processes(job: Job, numbers: Sequence[int], workers: int, gpus_per_worker: int | None) -> Iterator[Done]:
    """One process for each worker, and as many GPUs for each as requested.

    Raises
    ------
    ValueError
        If there are fewer GPUs.
    """
    context = multiprocessing.get_context("spawn")
    devices = context.Queue()
    for one in _devices(workers, gpus_per_worker):
        devices.put(one)
    threads = max(1, (os.cpu_count() or 1) // workers)
    with ProcessPoolExecutor(workers, context, _start, (job, threads, devices)) as pool:
        waiting = {pool.submit(_shard, number) for number in numbers}
        try:
            while waiting:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in ready)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _devices(workers: int, each: int | None) -> list[str | None]:
    """For each worker what ``CUDA_VISIBLE_DEVICES`` is to be."""
    if each is None:
        return [None] * workers
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        import tensorflow as tf

        visible = ",".join(str(number) for number in range(len(tf.config.list_physical_devices("GPU"))))
    known = [one for one in visible.split(",") if one]
    if len(known) < workers * each:
        raise ValueError(
            f"{workers} workers with {each} GPUs each need {workers * each} GPUs, and there are {len(known)}. "
            "Take fewer workers, or leave out gpus_per_worker (--gpus-per-worker) to use CPUs."
        )
    return [",".join(known[number * each : (number + 1) * each]) for number in range(workers)]


def _start(job: Job, threads: int, devices: Any) -> None:
    global _worker
    device = devices.get()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    _worker = Worker(job, threads)


def _shard(number: int) -> Done:
    return _worker.shard(number)


def on_ray(
    job: Job,
    numbers: Sequence[int],
    workers: int | None = None,
    cpus_per_worker: int = 1,
    gpus_per_worker: float | None = None,
    address: str | None = None,
) -> Iterator[Done]:
    """Actors of a Ray cluster, each with the model in its memory; a shard goes to the next one that is free.

    Parameters
    ----------
    job : Job
        All workers must see its files under the same names, as on a shared file system.
    numbers : sequence of int
        Which shards.
    workers : int, optional
        How many; default: as many as the cluster has room for, and no more than there are shards.
    cpus_per_worker : int
        Of which TensorFlow makes as many threads.
    gpus_per_worker : float, optional
        None: no GPU.
    address : str, optional
        Of the cluster, as for ``ray.init``; default: the one that this process is in, or a new one on this machine.

    Raises
    ------
    ValueError
        If the cluster has no room for so many workers, or a worker writes to a folder that this process does not see.
    """
    ray = needed("ray", "Clusters")
    began = not ray.is_initialized()
    if began:
        ray.init(address=address, include_dashboard=False if address is None else None, log_to_driver=False)
    try:
        yield from _with_actors(ray, job, list(numbers), workers, cpus_per_worker, gpus_per_worker or 0)
    finally:
        if began:
            ray.shutdown()


def _with_actors(ray: Any, job: Job, numbers: list[int], workers: int | None, cpus: int, gpus: float) -> Iterator[Done]:
    has = ray.cluster_resources()
    room = int(min(has.get("CPU", 0) // cpus, has.get("GPU", 0) // gpus if gpus else float("inf")))
    if room < (workers or 1):
        raise ValueError(
            f"{workers or 1} workers of {cpus} CPUs and {gpus:g} GPUs do not fit into a cluster of "
            f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs, which has room for {room}. Take fewer or "
            "smaller ones, or start more nodes."
        )
    Actor = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=RETRIES, max_task_retries=RETRIES)(Worker)
    actors = [Actor.remote(job, cpus) for _ in range(min(workers or room, len(numbers)))]
    waiting = numbers[::-1]
    running = {actor.shard.remote(waiting.pop()): actor for actor in actors}
    try:
        while running:
            (ready, *_), _ = ray.wait([*running], num_returns=1)
            actor = running.pop(ready)
            done = _result(ray, ready, job)
            if waiting:
                running[actor.shard.remote(waiting.pop())] = actor
            yield done
    finally:
        for actor in actors:
            ray.kill(actor)


def _result(ray: Any, reference: Any, job: Job) -> Done:
    try:
        done = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ValueError | TypeError | OSError):
            raise error.cause from None  # as if it had happened here
        raise
    except ray.exceptions.RayActorError as error:
        raise RuntimeError(
            f"A worker died and was started again {RETRIES} times. If its memory is too small, take a smaller "
            f"batch_size or shard_rows; what is done is kept. Ray says: {error}"
        ) from error
    if not shard_file(Path(job.output), done.number).exists():
        raise ValueError(
            f"A worker wrote shard {done.number} to a folder {job.output!r} that this process does not see. All nodes "
            "must share the folder of results, as on a network file system."
        )
    return done
