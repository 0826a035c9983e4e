"""Fine-tune as `speechxfer finetune` does; for `accelerate launch` and `torchrun`, which want a script."""

import sys

from speechxfer.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "finetune")
    main()
