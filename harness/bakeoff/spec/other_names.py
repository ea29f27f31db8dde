"""Keys and values as other tools name them (TrainingArguments, peft, run_glue.py, Lightning, argparse scripts), and what to
write in an experiment file instead.

They serve error messages. None is accepted as an alias: one thing has one name, in every file and record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from bakeoff.contracts.recipe import BUILT_IN, Scheduler
from bakeoff.text.values import spelt, yaml_value
from bakeoff.text.words import did_you_mean, quoted, quoted_whole

Home = Literal["recipe", "file", "strategy", "task", "model", "method", "trainer", "command", ""]
"""Where a key belongs; `command`: it is an option of the command line; empty: there is nothing to write."""


@dataclass(frozen=True)
class Meant:
    """What to write in place of another tool's name."""

    home: Home
    write: str
    """The key with its value, as YAML on one line (`epochs: 3`); of `command` the option; empty where there is nothing to
    write."""
    note: str = ""
    """A further hint, as a clause; empty for none."""


Rule = Callable[[Any, Mapping[str, Any]], Meant]
"""A function of another tool's key: (its value, the other keys of the same mapping, by `plain` name) -> what to write."""


def plain(name: str) -> str:
    """A name in the spelling in which it is looked up: `num_train_epochs` for `--Num-Train-Epochs` and `numTrainEpochs`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip().lstrip("-"))
    return re.sub(r"[\s.-]+", "_", parted).casefold()


def meant_by(name: str, value: Any, beside: Mapping[str, Any]) -> Meant | None:
    """What to write in place of another tool's key; None if it is not known. beside: the keys of the same mapping -> values."""
    rule = RULES.get(plain(name))
    return rule(value, {plain(key): one for key, one in beside.items()}) if rule else None


def dotted_meant_by(name: str, valid: Collection[str]) -> str | None:
    """The valid name that a name of another tool means: `recipe.learning_rate` for `lr`, `method.r` for `r`; None if there is
    none. valid: the names to choose from."""
    home, _, own = name.rpartition(".")
    found = meant_by(own, None, {})
    keys = [plain(own), *([found.write.partition(":")[0]] if found and found.home in ("recipe", "method") else [])]
    candidates = [f"{part}{key}" for key in keys for part in ("", "recipe.", "method.", "trainer.")]
    return next((one for one in (*candidates, home, found.home if found else "") if one in valid), None)


def not_found(what: str, name: str, valid: Collection[str]) -> str:
    """The error message for an unknown name, with the valid one that is meant or nearest. what: what the name should be, in
    words. valid: names such as `recipe.learning_rate`."""
    meant = dotted_meant_by(name, valid)
    return f"no {what} {quoted(name)}; did you mean {quoted_whole(meant)}?" if meant else did_you_mean(what, name, valid)


def entry(key: str, value: Any) -> str:
    """A key with its value, `epochs: 3`; `...` stands for a value that is None or longer than 60 characters."""
    shown = "..." if value is None else spelt(value) if isinstance(value, float) else yaml_value(value)
    return f"{key}: {shown if len(shown) <= 60 else '...'}"


# --- rules ---------------------------------------------------------------------------------------------------------------


def _same(home: Home, key: str, note: str = "") -> Rule:
    return lambda value, _: Meant(home, entry(key, value), note)


def _recipe(key: str, note: str = "") -> Rule:
    return _same("recipe", key, note)


def _whole(value: Any) -> Any:
    """The integer 8 for 8.0 or "8"; any other value unchanged."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() else value


def _is_on(value: Any) -> bool:
    return value not in (False, None, "no", "none", "false", 0)


def _nothing(note: str) -> Rule:
    return lambda value, beside: Meant("", "", note)


def _option(option: str, note: str = "") -> Rule:
    return lambda value, beside: Meant("command", option, note)


_PER_STEP = "batch_size counts the examples of an optimizer step, over all devices and accumulated passes"


def _batch_size(value: Any, beside: Mapping[str, Any]) -> Meant:
    """Rule for another tool's batch size, that of one forward pass; here `batch_size` counts the examples of a step."""
    names = ("gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum", "grad_accum_steps", "accumulation_steps")
    size, times = _whole(value), _whole(next((beside[name] for name in names if name in beside), 1))
    if isinstance(size, int) and isinstance(times, int) and times > 1 and not isinstance(value, bool):
        return Meant("recipe", f"batch_size: {size * times}, micro_batch_size: {size}", _PER_STEP)
    return Meant("recipe", entry("batch_size", size), _PER_STEP)


def _accumulation(value: Any, beside: Mapping[str, Any]) -> Meant:
    names = ("per_device_train_batch_size", "train_batch_size", "batch_size", "per_gpu_train_batch_size", "bs")
    size, times = _whole(next((beside[name] for name in names if name in beside), None)), _whole(value)
    note = "gradients are accumulated over the passes of micro_batch_size examples that make a batch"
    if not isinstance(size, int) or not isinstance(times, int) or times < 1:
        return Meant("recipe", "batch_size: ..., micro_batch_size: ...", note)
    return Meant(
        "recipe", f"batch_size: {size * times}, micro_batch_size: {size}" if times > 1 else f"batch_size: {size}", note
    )


def _half(value: Any, beside: Mapping[str, Any]) -> Meant:
    """Rule for half precision: fp16, bf16, amp, mixed_precision, `precision: 16-mixed`."""
    text = str(value).casefold()
    if not _is_on(value) or text in ("fp32", "32", "32-true", "float32"):
        return Meant("recipe", "precision: fp32", "the default")
    return Meant("recipe", "precision: bf16")


def _fp16(value: Any, beside: Mapping[str, Any]) -> Meant:
    found = _half(value, beside)
    on_cuda = "on CUDA; elsewhere bf16, which needs no scaled loss"
    return Meant(found.home, "precision: fp16, fused: false", on_cuda) if "bf16" in found.write else found


def _seed(value: Any, beside: Mapping[str, Any]) -> Meant:
    value = _whole(value)
    shown = f"[{value}]" if isinstance(value, int) and not isinstance(value, bool) else "3"
    return Meant("file", f"seeds: {shown}", "a list of seeds, or how many; verdicts need 3 or more")


def _warmup_share(value: Any, beside: Mapping[str, Any]) -> Meant:
    share = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return Meant("recipe", entry("warmup", share), "a number below 1 is a share of all steps, an integer counts steps")


def _betas(value: Any, beside: Mapping[str, Any]) -> Meant:
    pairs = (("adam_beta1", "adam_beta2"), ("beta1", "beta2"), ("beta_1", "beta_2"))
    first = next((beside[one] for one, _ in pairs if one in beside), 0.9)
    second = next((beside[two] for _, two in pairs if two in beside), 0.999)
    return Meant("recipe", f"betas: {yaml_value([first, second])}")


def _optimizer(value: Any, beside: Mapping[str, Any]) -> Meant:
    if plain(str(value)) == "paged_adamw_8bit":
        return Meant("recipe", "optimizer: {name: adamw-8bit, paged: true}")
    known = value if value in BUILT_IN["optimizer"] or value in VALUES["optimizer"].values() else "adamw"
    return Meant("recipe", entry("optimizer", VALUES["optimizer"].get(plain(str(value)), known)))


def _weighted(value: Any, beside: Mapping[str, Any]) -> Meant:
    return Meant("recipe", "sampling: weighted", "rows are drawn with replacement, every label as often")


def _loss(value: Any, beside: Mapping[str, Any]) -> Meant:
    known = value if value in VALUES["loss"].values() else "default"
    told = "the default is that of the kind of task; `bakeoff plugins --kind loss` lists others"
    return Meant("recipe", entry("loss", VALUES["loss"].get(plain(str(value)), known)), told)


def _scheduler(value: Any, beside: Mapping[str, Any]) -> Meant:
    known = get_args(Scheduler)
    shown = VALUES["scheduler"].get(plain(str(value)), value if value in known else None)
    return Meant("recipe", entry("scheduler", shown), f"one of {', '.join(known)}" if shown is None else "")


def _best(value: Any, beside: Mapping[str, Any]) -> Meant:
    if not _is_on(value):
        return Meant("file", "select: last-epoch", "the default")
    return Meant("file", "select: best-on-dev", "dev is evaluated after each epoch, and the best state is reported")


def _early_stopping(value: Any, beside: Mapping[str, Any]) -> Meant:
    given = (beside.get("early_stopping_patience"), value)
    patience = next((one for one in given if isinstance(one, int) and not isinstance(one, bool) and one > 0), 3)
    told = "with `select: best-on-dev`, which evaluates each epoch; `min_delta` is the threshold, in points"
    return Meant("recipe", f"early_stopping: {{patience: {patience}}}", told)


def _metrics(value: Any, beside: Mapping[str, Any]) -> Meant:
    named = value if isinstance(value, list) else [value if isinstance(value, str) else "accuracy"]
    named = [str(one).removeprefix("eval_") for one in named]
    return Meant("task", f"metrics: {yaml_value(named)}", "the first one is the primary metric")


def _chooser(value: Any, beside: Mapping[str, Any]) -> Meant:
    """Rule for the metric that selects a state; of the loss, which several tools take, nothing can be chosen here."""
    name = str(value).removeprefix("eval_") if isinstance(value, str) and "loss" not in value else "accuracy"
    return Meant("recipe", f"select_by: {yaml_value(name)}", "a metric of the task; with `select: best-on-dev`")


def _kept(value: Any, beside: Mapping[str, Any]) -> Meant:
    off = not _is_on(value)
    return Meant("file", f"keep: {'none' if off else 'final'}", "`checkpoint_every: STEPS` is for runs that may be killed")


def _clipping(value: Any, beside: Mapping[str, Any]) -> Meant:
    number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return Meant("recipe", f"max_grad_norm: {yaml_value(value) if number else 'none' if not _is_on(value) else 1.0}")


def _padding(value: Any, beside: Mapping[str, Any]) -> Meant:
    return Meant("recipe", f"padding: {'max_length' if _is_on(value) else 'longest'}")


def _model(value: Any, beside: Mapping[str, Any]) -> Meant:
    return Meant("model", entry("path", (hub_id(value) or value) if isinstance(value, str) else None))


def _task(value: Any, beside: Mapping[str, Any]) -> Meant:
    return Meant("task", "", "a task by its name, or your own files as a `table`; `bakeoff plugins` lists them")


def _task_key(key: str) -> Rule:
    return lambda value, _: Meant("task", entry(key, value))


def _lora(key: str) -> Rule:
    return _same("method", key)


# --- the table -----------------------------------------------------------------------------------------------------------

_RECORDED = "leave it out: loss and learning rate of every step are recorded anyway, and the gradient norm of some"
_REPORTED = "leave it out: records stand in the results folder, and `bakeoff table` and `report` show them"
_EVALUATED = (
    "leave it out: every labelled split is evaluated after training, and with `select: best-on-dev` dev after each epoch, or "
    "every `evaluate_every` steps"
)
_HARNESS = "leave it out: Bakeoff feeds and evaluates the runs itself, alike for every trainer"
_NOT_OFFERED = "leave it out: Bakeoff does not offer it, since a comparison needs the same settings for every trainer"
_METHODS = "`bakeoff plugins` lists the methods"
_SHARING = "leave it out: Bakeoff uploads nothing; `keep: final` saves each trained model beside its record"

# fmt: off
_TABLE: Final[tuple[tuple[str, Rule], ...]] = (
    # length and batches
    ("num_train_epochs num_epochs n_epochs nepochs max_epochs epoch train_epochs number_of_epochs", _recipe("epochs")),
    ("max_train_steps num_train_steps num_training_steps train_steps n_steps num_steps total_steps steps iterations max_iters",
     _recipe("max_steps")),
    ("per_device_train_batch_size per_gpu_train_batch_size train_batch_size batch mini_batch_size minibatch_size bs batchsize",
     _batch_size),
    ("gradient_accumulation_steps accumulate_grad_batches grad_accum grad_accum_steps accumulation_steps gradient_accumulation",
     _accumulation),
    ("per_device_eval_batch_size per_gpu_eval_batch_size eval_batch_size test_batch_size eval_accumulation_steps "
     "auto_find_batch_size val_batch_size", _nothing("leave it out: it changes no score, and evaluation chooses it itself")),
    ("max_train_samples max_train_examples n_train num_train_examples train_samples train_size",
     _recipe("train_examples", "drawn by the seed; the first ones, as in run_glue.py, with `subset: first`")),
    ("max_eval_samples max_predict_samples max_test_samples max_val_samples",
     _nothing("leave it out: splits are always evaluated whole")),
    ("train_sampling_strategy", lambda value, _: Meant("recipe", "group_by_length: true") if value == "group_by_length"
     else Meant("", "", "every epoch has an order of its own, by the seed, alike for every trainer")),
    ("shuffle shuffle_train_dataset shuffle_seed dataloader_shuffle",
     _nothing("leave it out: every epoch has an order of its own, by the seed, alike for every trainer")),
    # optimizer
    ("lr lrate base_lr max_lr peak_lr init_lr initial_lr step_size eta", _recipe("learning_rate")),
    ("optim optimizer_type optimizer_name opt solver optimiser", _optimizer),
    ("adam_epsilon epsilon adam_eps optimizer_eps", _recipe("eps")),
    ("adam_beta1 adam_beta2 beta1 beta2 beta_1 beta_2 adam_betas", _betas),
    ("wd l2_penalty weightdecay weight_decay_rate adam_weight_decay", _recipe("weight_decay")),
    ("no_decay exclude_from_weight_decay", _recipe("weight_decay_exempt")),
    ("correct_bias", _recipe("bias_correction")),
    ("clip clip_grad clip_grad_norm grad_clip gradient_clip_val gradient_clipping max_norm clipnorm clip_norm grad_norm",
     _clipping),
    ("adafactor", lambda value, _: Meant("recipe", f"optimizer: {'adafactor' if _is_on(value) else 'adamw'}")),
    ("optim_args optim_target_modules neftune_noise_alpha nesterov layerwise_lr_decay llrd",
     _nothing(_NOT_OFFERED)),
    ("lr_scheduler_type lr_scheduler schedule lr_schedule scheduler_type scheduler_name learning_rate_scheduler", _scheduler),
    ("warmup_ratio warmup_proportion warmup_fraction", _warmup_share),
    ("warmup_steps num_warmup_steps n_warmup_steps lr_warmup_steps warm_up warm_up_steps", _recipe("warmup")),
    ("label_smoothing_factor smoothing", _recipe("label_smoothing")),
    ("class_weight label_weights loss_weights pos_weight weighted_loss", _recipe("class_weights")),
    ("weighted_sampler oversample oversampling balanced_sampling class_balanced", _weighted),
    ("lr_scheduler_kwargs", _nothing("write `power`, `cycles` or `decay` in the recipe: they are the settings of schedulers")),
    ("num_cycles restarts", _recipe("cycles", "with `scheduler: cosine_with_restarts`")),
    ("num_decay_steps decay_steps cooldown cooldown_steps", _recipe("decay", "with `scheduler: warmup_stable_decay`")),
    ("nb_momentum sgd_momentum", _recipe("momentum")),
    # precision and memory
    ("bf16 amp use_amp mixed_precision autocast half half_precision dtype torch_dtype use_bf16", _half),
    ("fp16 use_fp16 float16", _fp16),
    ("tf32 fp16_opt_level half_precision_backend fp16_backend bf16_full_eval fp16_full_eval use_liger_kernel "
     "liger_kernel_config jit_mode_eval "
     "torch_compile_backend torch_compile_mode use_ipex apex", _nothing(_NOT_OFFERED)),
    ("compile compile_model torchdynamo", lambda value, _: Meant("recipe", f"torch_compile: {yaml_value(_is_on(value))}")),
    ("gradient_checkpointing_kwargs activation_checkpointing_kwargs use_gradient_checkpointing activation_checkpointing "
     "grad_checkpointing",
     lambda value, _: Meant("recipe", f"gradient_checkpointing: {yaml_value(_is_on(value))}")),
    ("world_size num_processes nproc_per_node n_gpu num_gpus gpus nproc", lambda value, _: Meant(
        "recipe", entry("processes", _whole(value)), "the processes that share each batch")),
    ("local_rank ddp_backend ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph "
     "ddp_timeout fsdp fsdp_config deepspeed "
     "accelerator_config parallelism_config tpu_num_cores average_tokens_across_devices",
     _nothing("leave it out: `processes: N` in the recipe shares each batch among N processes")),
    # inputs
    ("max_seq_length max_seq_len max_len maxlen seq_length seq_len sequence_length max_source_length max_input_length "
     "model_max_length tokenizer_max_length block_size", _recipe("max_length")),
    ("pad_to_max_length pad_to_max", _padding),
    ("truncation do_lower_case use_fast use_fast_tokenizer tokenizer tokenizer_name preprocessing_num_workers "
     "length_column_name remove_unused_columns label_names "
     "input_columns remove_columns",
     _nothing("leave it out: the model's own tokenizer encodes the columns that the task names, cut at `max_length`")),
    # seeds and selection
    ("seed random_seed random_state rng manual_seed global_seed", _seed),
    ("num_seeds n_seeds nseeds num_runs n_runs runs repeats repetitions num_trials_per_strategy",
     lambda value, _: Meant("file", entry("seeds", _whole(value)))),
    ("full_determinism deterministic cudnn_deterministic", _nothing("leave it out: runs are reproducible by their seeds")),
    ("load_best_model_at_end save_best save_best_only use_best_model best_model", _best),
    ("early_stopping_patience patience early_stop early_stopping_threshold", _early_stopping),
    ("metric_for_best_model", _chooser),
    ("metric metric_name eval_metric eval_metrics primary_metric scoring monitor compute_metrics score",
     _metrics),
    ("greater_is_better mode metric_mode", _nothing("leave it out: a metric knows itself which scores are better")),
    # evaluation, logging, saving
    ("evaluation_strategy eval_strategy eval_delay eval_on_start do_eval do_predict evaluate_during_training "
     "prediction_loss_only val_check_interval check_val_every_n_epoch batch_eval_metrics "
     "include_inputs_for_metrics include_for_metrics eval_do_concat_batches eval_use_gather_object", _nothing(_EVALUATED)),
    ("eval_steps eval_every validation_interval eval_interval evaluation_steps",
     _recipe("evaluate_every", "steps, with `select: best-on-dev`; without it dev is evaluated at the end")),
    ("do_train", _nothing("leave it out: `bakeoff run` trains, `bakeoff table` and `report` show what is recorded")),
    ("logging_steps logging_strategy logging_first_step logging_nan_inf_filter log_every log_interval log_steps "
     "log_every_n_steps include_num_input_tokens_seen include_tokens_per_second skip_memory_metrics", _nothing(_RECORDED)),
    ("report_to logging_dir log_dir logdir logger loggers wandb wandb_project wandb_run_name use_wandb tensorboard run_name "
     "project experiment_name project_name tracking trackio_space_id trackio_bucket_id trackio_static_space_id mlflow "
     "verbose log_level log_level_replica "
     "log_on_each_node disable_tqdm debug", _nothing(_REPORTED)),
    ("save_model save_final_model save_strategy save_only_model save_safetensors save_total_limit enable_jit_checkpoint "
     "save_on_each_node", _kept),
    ("save_steps checkpoint_steps checkpointing_steps save_every checkpoint_interval save_interval",
     _same("file", "checkpoint_every")),
    ("resume_from_checkpoint ignore_data_skip restore_callback_states_from_checkpoint resume auto_resume overwrite_output_dir "
     "overwrite_cache",
     _nothing("leave it out: `bakeoff run` goes on where it stopped, with `checkpoint_every: STEPS` within a run too")),
    ("output_dir out_dir output out save_dir results_dir save_path ckpt_dir checkpoint_dir output_path",
     _option("--into FOLDER", "default: beside the experiment file")),
    ("data_dir data_path dataset_dir data_root root_dir", _option("--data FOLDER")),
    ("use_cpu no_cuda", _option("--device cpu")),
    ("device cuda use_cuda use_mps_device gpu accelerator", lambda value, _: Meant(
        "command", f"--device {value if value in ('cpu', 'cuda', 'mps') else 'cuda'}")),
    ("num_workers dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor "
     "dataloader_drop_last dataloader_multiprocessing_context dataloader_in_order drop_last use_cache pin_memory "
     "torch_empty_cache_steps past_index eval_num_workers", _nothing(_HARNESS)),
    ("num_threads threads omp_num_threads", _option("--threads N")),
    ("n_jobs jobs num_workers_parallel", _option("--jobs N")),
    ("timeout max_time time_limit", _same("file", "run_timeout", "in seconds")),
    ("push_to_hub push_to_hub_model_id push_to_hub_organization push_to_hub_token hub_model_id hub_strategy hub_token "
     "hub_private_repo hub_always_push hub_revision token use_auth_token", _nothing(_SHARING)),
    # models and data
    ("model model_name model_id model_name_or_path pretrained_model pretrained_model_name_or_path base_model checkpoint "
     "encoder backbone base_model_name_or_path model_path pretrained", _model),
    ("config_name ignore_mismatched_sizes num_labels problem_type id2label label2id cache_dir use_safetensors model_type",
     _nothing("leave it out: the task's labels and the model's own configuration decide")),
    ("model_revision", _same("model", "revision")),
    ("trust_remote_code", _nothing("code from a model's repository is never run: leave it out")),
    ("attention_dropout hidden_dropout hidden_dropout_prob attention_probs_dropout_prob classifier_dropout",
     _nothing("leave it out: dropout is that of the model's own configuration")),
    ("attn_implementation", _same("model", "attn_implementation")),
    ("task_name dataset dataset_name dataset_id dataset_config_name dataset_config data task datasets", _task),
    ("train_file train_path train_data train_dataset train_csv training_file train_data_path", _task_key("train")),
    ("validation_file validation valid_file val_file dev_file eval_file eval_dataset val_data val_dataset valid "
     "validation_path val dev_path val_path", _task_key("dev")),
    ("test_file test_path test_data test_dataset test_csv", _task_key("test")),
    ("text_column text_column_name text_col sentence1_key text_column_names text_field text_columns input_column "
     "feature_columns x_col",
     _task_key("text")),
    ("do_regression", lambda value, _: Meant("task", f"kind: {'regression' if _is_on(value) else 'classification'}")),
    ("text_column_delimiter", lambda value, _: Meant("task", "join: '{first} {second}'", "columns that make one text")),
    ("train_split_name validation_split_name test_split_name remove_splits",
     _nothing("leave it out: `train`, `dev` and `test` of a task `table` or `hub-dataset` name files or splits")),
    ("label_column label_column_name label_col target target_column label_field y_col label_key", _task_key("label")),
    ("test_size validation_split val_split split_ratio val_size dev_size validation_size valid_size holdout test_split",
     lambda value, _: Meant("task", "split: {dev: 10%, test: 20%}", "rows of train that are held out")),
    ("loss_fn criterion loss_type loss_function", _loss),
    ("focal_loss", lambda value, _: Meant("recipe", f"loss: {'focal' if _is_on(value) else 'default'}")),
    # methods and peft
    ("peft peft_type peft_config adapter adapter_type finetuning_type tuning tune_method use_peft finetuning_method "
     "use_lora", lambda value, _: Meant(
        "strategy", f"method: {value.casefold() if isinstance(value, str) else 'lora'}", _METHODS)),
    ("lora_r r rank lora_rank lora_dim", _lora("r")),
    ("lora_alpha alpha", _lora("alpha")),
    ("lora_dropout", _lora("dropout")),
    ("lora_target_modules target", _lora("target_modules")),
    ("modules_to_save task_type inference_mode fan_in_fan_out layers_to_transform layers_pattern",
     _nothing("leave it out: the head always trains; method `peft` takes every setting of the library in `config`")),
    ("use_dora use_rslora init_lora_weights rank_pattern alpha_pattern loftq_config lora_bias", lambda value, _: Meant(
        "strategy", "method: {name: peft, type: LORA, config: {...}}", "it takes every setting of the library in `config`")),
    ("load_in_4bit load_in_8bit quantization quantization_config bnb_4bit_compute_dtype qlora", _nothing(_NOT_OFFERED)),
    ("freeze freeze_base freeze_encoder freeze_base_model freeze_backbone frozen trainable_layers",
     lambda value, _: Meant("strategy", "method: head-only", _METHODS)),
    ("freeze_embeddings freeze_embedding", lambda value, _: Meant("recipe", f"frozen_embeddings: {yaml_value(_is_on(value))}")),
    # experiments
    ("n_trials num_trials hp_space hyperparameter_search param_grid sweep grid hparams_search", lambda value, _: Meant(
        "file", "search: {learning_rate: [1e-5, 3e-5], seeds: 2}", "each strategy may have a search of its own")),
    ("configs experiments arms variants conditions methods trainers approaches", lambda value, _: Meant(
        "file", "strategies: {NAME: {trainer: TRAINER, method: METHOD}}")),
    ("hyperparameters hparams hyperparams training_args training_arguments train_args training params config args parameters",
     lambda value, _: Meant("recipe", "epochs: 3, batch_size: 8", "hyper-parameters of all strategies stand in `recipe`")),
    ("control reference ref compare_to", _same("file", "baseline")),
    ("description hypothesis about notes comment", _same("file", "question")),
    ("tolerance equivalence_margin delta epsilon_margin threshold min_effect rope", _same("file", "margin")),
    ("eval_split evaluate_on test_on score_on split_name eval_set", _same("file", "report_on")),
)
# fmt: on

RULES: Final[Mapping[str, Rule]] = {name: rule for names, rule in _TABLE for name in names.split()}

VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "optimizer": dict.fromkeys(
        ("adam", "adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_apex_fused", "adam_w", "torch_optim_adam_w"), "adamw"
    )
    | dict.fromkeys(("adamw_bnb_8bit", "adamw_8bit", "adam8bit", "adam_w8bit"), "adamw-8bit")
    | dict.fromkeys(("lion_32bit", "paged_lion_32bit", "lion_8bit", "lion_w"), "lion")
    | {"adafactor_hf": "adafactor"},
    "loss": dict.fromkeys(("cross_entropy", "ce", "crossentropy", "mse", "bce", "none", "default_loss"), "default")
    | dict.fromkeys(("focal_loss", "focalloss"), "focal"),
    "scheduler": {
        "constant_with_warmup": "constant",
        "none": "constant",
        "linear_with_warmup": "linear",
        "linear_decay": "linear",
        "cosine_with_warmup": "cosine",
        "cosine_annealing": "cosine",
        "polynomial_decay": "polynomial",
        "cosine_hard_restarts": "cosine_with_restarts",
        "cosine_with_hard_restarts": "cosine_with_restarts",
        "wsd": "warmup_stable_decay",
    },
    "precision": dict.fromkeys(("half", "mixed", "bfloat16", "bf16_mixed", "amp"), "bf16")
    | dict.fromkeys(("32", "float32", "full", "no", "none", "float", "32_true"), "fp32"),
    "padding": {"true": "longest", "false": "longest", "dynamic": "longest", "max": "max_length"},
    "select": dict.fromkeys(("best", "best_epoch", "best_on_validation", "best_checkpoint", "true"), "best-on-dev")
    | dict.fromkeys(("last", "final", "false", "none"), "last-epoch"),
    "keep": dict.fromkeys(("true", "best", "last", "all", "model", "models", "yes"), "final")
    | dict.fromkeys(("false", "no", "nothing"), "none"),
    "report_on": dict.fromkeys(("validation", "val", "valid", "eval", "evaluation", "development"), "dev"),
}
"""Key -> another tool's word for one of its values -> the value here."""


def value_meant_by(key: str, given: Any) -> str | None:
    """The value, here, that another tool's word for a value of this key stands for; None if the word is not known."""
    return VALUES.get(key, {}).get(plain(str(given))) if isinstance(given, str | bool | int) else None


HUB_SHORT: Final[Mapping[str, str]] = {
    "bert": "google-bert/bert-base-uncased",
    "distilbert": "distilbert/distilbert-base-uncased",
    "roberta": "FacebookAI/roberta-base",
    "deberta": "microsoft/deberta-v3-base",
    "albert": "albert/albert-base-v2",
    "electra": "google/electra-small-discriminator",
    "modernbert": "answerdotai/ModernBERT-base",
}
"""Name of a family of models -> the hub id of the model that is meant by it."""
HUB_OWNERS: Final[Mapping[str, str]] = {
    "bert-": "google-bert",
    "roberta-": "FacebookAI",
    "xlm-roberta-": "FacebookAI",
    "distilbert-": "distilbert",
    "distilroberta-": "distilbert",
    "albert-": "albert",
    "gpt2": "openai-community",
    "t5-": "google-t5",
    "deberta-": "microsoft",
    "electra-": "google",
    "xlnet-": "xlnet",
    "modernbert-": "answerdotai",
    "all-minilm-": "sentence-transformers",
    "all-mpnet-": "sentence-transformers",
    "mpnet-": "microsoft",
    "minilm-": "microsoft",
    "smollm": "HuggingFaceTB",
    "qwen": "Qwen",
}
"""How the name of a well-known model begins -> its owner on the hub, whom older scripts leave out."""


def hub_id(name: str) -> str | None:
    """The hub id (`owner/name`) of a model that may be named without its owner, `bert-base-uncased`, or by its family, `bert`.
    None for the path of a folder, and for a name without an owner that is not well known."""
    if "/" in name.strip("./~"):
        return None if name.startswith(("/", ".", "~")) else name
    if (short := HUB_SHORT.get(name.casefold())) is not None:
        return short
    owner = next((owner for begin, owner in HUB_OWNERS.items() if name.casefold().startswith(begin)), None)
    return f"{owner}/{name}" if owner else None
