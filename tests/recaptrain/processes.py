"""A training on several processes of this machine, as `accelerate launch` starts them, each a fork of one that has the libraries loaded.

    forks.run(["python", "tests.recaptrain.processes:launch", "2", "", "recaptrain", "diffusion", …])

Starting Python and its libraries anew for each would take most of the time.
"""

import os
import signal
import socket
import sys
import traceback

FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "BasicTransformerBlock,CLIPEncoderLayer",
}
"""What `accelerate launch` sets for a configuration of FSDP 2 that gathers a block at a time."""


def launch(count: str, kill_after: str, *words: str) -> None:
    """Run a command line of `recaptrain` on so many processes of CPU, which speak over gloo; exits as the worst of them does.

    With the environment of `FSDP` weights are spread over them.

    Args:
        kill_after: the step after whose row in the log all of them, this one too, die by SIGKILL; empty for never.
    """
    os.setpgrp()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = []
    for rank in range(int(count)):
        if (child := os.fork()) == 0:
            _rank(rank, int(count), port, kill_after, words)
        ranks.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in ranks]
    sys.exit(max(codes, key=abs))


def _rank(rank: int, count: int, port: int, kill_after: str, words: tuple[str, ...]) -> None:
    """One of the processes; it never returns."""
    os.environ["ACCELERATE_USE_CPU"] = "true"
    if count > 1:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
        os.environ |= {"WORLD_SIZE": str(count), "RANK": str(rank)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(count), "LOCAL_RANK": str(rank)}
    if "ACCELERATE_USE_FSDP" in os.environ:
        _shard_on_cpu()
    if kill_after:
        _die_after(int(kill_after))
    from recaptrain.cli import main

    sys.argv = list(words)
    code = 1
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told to whoever asked
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _shard_on_cpu() -> None:
    """Have Accelerate, which spreads weights over accelerators alone, do on CPUs what it does there: torch's FSDP 2 knows both."""
    from accelerate.state import AcceleratorState, DistributedType, PartialState

    begin = AcceleratorState.__init__

    def begin_sharded(self, *arguments, **options):
        begin(self, *arguments, **options)
        if options.get("fsdp_plugin") is not None:
            self.fsdp_plugin, self.distributed_type = options["fsdp_plugin"], DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = begin_sharded


def _die_after(step: int) -> None:
    from recaptrain.training.run_folder import RunFolder

    log = RunFolder.log

    def log_and_die(self, row, name="log"):
        log(self, row, name)
        if name == "log" and row["step"] == step:
            os.killpg(0, signal.SIGKILL)

    RunFolder.log = log_and_die
