"""Design-space exploration of LLM-inference chips: one YAML file in, the chips that meet the targets out."""
