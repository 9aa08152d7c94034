import asyncio
import gc
import weakref

import pytest

from tests.simulation.scheduler import DeadlockError, Process, Scheduler, blocking, wait


def test_time_passes_only_when_nothing_can_go_on():
    scheduler = Scheduler(1)

    async def main() -> tuple[float, ...]:
        async def sleeper(seconds: float) -> float:
            await asyncio.sleep(seconds)
            return scheduler.now_s

        return tuple(await asyncio.gather(sleeper(5), sleeper(2), sleeper(3_600)))

    assert scheduler.run(main()) == (5, 2, 3_600)


def test_a_killed_process_never_runs_again_not_even_to_clean_up():
    scheduler, said = Scheduler(1), list[str]()

    async def victim() -> None:
        try:
            said.append("begins")
            await asyncio.sleep(2)
            said.append("goes on")
        finally:
            said.append("cleans up")

    async def main() -> None:
        process = Process("victim")
        scheduler.start(process, victim)
        await asyncio.sleep(1)
        scheduler.kill(process)
        await asyncio.sleep(10)
        assert said == ["begins"]

    scheduler.run(main())


def test_a_frozen_process_goes_on_later():
    scheduler, said = Scheduler(1), list[float]()

    async def sleeper() -> None:
        await asyncio.sleep(1)
        said.append(scheduler.now_s)

    async def main() -> None:
        process = Process("sleeper")
        scheduler.start(process, sleeper)
        scheduler.freeze(process, 8)
        await asyncio.sleep(20)

    scheduler.run(main())
    assert said == [9]


def test_the_seed_decides_which_process_goes_on_first():
    def order(seed: int) -> list[int]:
        scheduler, said = Scheduler(seed), list[int]()

        async def main() -> None:
            for number in range(8):

                async def say(number: int = number) -> None:
                    said.append(number)

                scheduler.start(Process(str(number)), say)
            await asyncio.sleep(1)

        scheduler.run(main())
        return said

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(20)}) > 10


def test_blocking_code_waits_on_the_event_loop_and_gets_what_is_raised():
    scheduler = Scheduler(1)

    async def fails() -> None:
        await asyncio.sleep(3)
        raise ValueError("no")

    def work() -> str:
        wait(asyncio.sleep(4))
        try:
            wait(fails())
        except ValueError as error:
            return f"{error} at {scheduler.now_s:g}"
        return ""

    async def main() -> str:
        return await blocking(work)

    assert scheduler.run(main()) == "no at 7"


def test_a_simulation_in_which_nothing_can_ever_happen_again_ends():
    scheduler = Scheduler(1)

    async def main() -> None:
        await scheduler.create_future()

    with pytest.raises(DeadlockError):
        scheduler.run(main())


def test_the_end_of_a_run_frees_what_a_function_in_its_middle_holds():
    class Held:
        pass

    scheduler, refs = Scheduler(1), list[weakref.ref[Held]]()

    def work() -> None:
        held = Held()
        refs.append(weakref.ref(held))
        wait(scheduler.create_future())

    async def main() -> None:
        scheduler.start(Process("worker"), lambda: blocking(work))
        await asyncio.sleep(1)

    scheduler.run(main())
    gc.collect()
    assert refs[0]() is None
