# nothing to export yet: no configs
